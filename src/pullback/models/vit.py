"""The vision transformer: an image as a row of patches."""

from .. import nn
from ..autodiff.tensor import Tensor
from ..backends import Array
from ..nn.init import constant_, normal_
from ..ops.creation import empty, zeros
from ..ops.manipulation import broadcast_to, concat, reshape
from .inputs import check_samples, check_sizes

__all__ = ["ViT"]


class ViT(nn.Module):
    """A transformer over the patches of an image (Dosovitskiy et al., 2021).

    image_size: the height and width; patch_size divides it. layers: blocks of attention and perceptron, each of the
        width hidden_dim, with heads heads, the perceptron mlp_dim wide inside. classes: the length of the output.
    in_channels: of the images. dropout: the share that is dropped behind each map.

    Takes (N, image_size, image_size, in_channels). Returns (N, classes), logits.
    Raises ValueError for images of another size.

    >>> import pullback as pb
    >>> model = ViT(image_size=8, patch_size=4, layers=1, heads=2, hidden_dim=8, mlp_dim=16, in_channels=1, classes=10)
    >>> model(pb.zeros((2, 8, 8, 1))).shape
    (2, 10)
    """

    def __init__(
        self,
        image_size: int = 224,
        patch_size: int = 16,
        layers: int = 12,
        heads: int = 12,
        hidden_dim: int = 768,
        mlp_dim: int = 3072,
        classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes("ViT", image_size=image_size, patch_size=patch_size, heads=heads, mlp_dim=mlp_dim, classes=classes)
        check_sizes("ViT", least=0, layers=layers)
        if image_size % patch_size:
            raise ValueError(f"patches of {patch_size} pixels do not fill images of {image_size}")
        self.shape = (image_size, image_size, in_channels)
        patches = (image_size // patch_size) ** 2
        self.conv_proj = nn.Conv2d(in_channels, hidden_dim, patch_size, stride=patch_size)
        self.class_token = nn.Parameter(zeros((1, 1, hidden_dim)))
        self.pos_embedding = nn.Parameter(empty((1, patches + 1, hidden_dim)))
        self.dropout = nn.Dropout(dropout)
        # Each block is made anew: copies of one would all begin alike.
        self.encoder = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    hidden_dim, heads, mlp_dim, dropout, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
                )
                for _ in range(layers)
            ),
            nn.LayerNorm(hidden_dim, eps=1e-6),
        )
        self.head = nn.Linear(hidden_dim, classes)
        normal_(self.pos_embedding, 0.0, 0.02)
        for p in self.head.parameters():
            constant_(p, 0.0)

    def forward(self, x: Array) -> Array:
        """x: (N, image_size, image_size, in_channels). Returns (N, classes)."""
        check_samples("ViT", x, self.shape)
        rows = self.conv_proj(x)
        samples, width = rows.shape[0], rows.shape[-1]
        token: Tensor = broadcast_to(self.class_token, (samples, 1, width))
        x = concat([token, reshape(rows, (samples, -1, width))], axis=1) + self.pos_embedding
        return self.head(self.encoder(self.dropout(x))[:, 0])
