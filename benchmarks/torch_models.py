"""PyTorch's side: the networks that ours are compared with, written from the same papers, with the same names."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["GPT", "BasicBlock", "Bert", "Bottleneck", "CharRNN", "LeNet", "MnistNet", "ResNet", "ViT", "cifar_resnet"]


class MnistNet(nn.Module):
    """The network of PyTorch's MNIST example, without its dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


class LeNet(nn.Sequential):
    """LeNet-5 with ReLU and max pooling, for images of 28 x 28."""

    def __init__(self) -> None:
        super().__init__()
        for name, module in {
            "conv1": nn.Conv2d(1, 6, 5, padding=2),
            "act1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(6, 16, 5),
            "act2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(400, 120),
            "act3": nn.ReLU(),
            "fc2": nn.Linear(120, 84),
            "act4": nn.ReLU(),
            "fc3": nn.Linear(84, 10),
        }.items():
            self.add_module(name, module)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, before: int, width: int, stride: int = 1, downsample: Any = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, before: int, width: int, stride: int = 1, downsample: Any = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        residual = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        residual = self.bn3(self.conv3(residual))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """He, Zhang, Ren and Sun (2016), with torchvision's names."""

    def __init__(
        self,
        block: Any,
        layers: Any,
        classes: int = 1000,
        in_channels: int = 3,
        width: int = 64,
        stem: str = "imagenet",
    ) -> None:
        super().__init__()
        large = stem == "imagenet"
        self.conv1 = nn.Conv2d(in_channels, width, 7 if large else 3, 2 if large else 1, 3 if large else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages = len(layers)
        before = width
        for number, count in enumerate(layers):
            after, stride = width * 2**number, 1 if number == 0 else 2
            downsample = None
            if stride != 1 or before != after * block.expansion:
                downsample = nn.Sequential(
                    nn.Conv2d(before, after * block.expansion, 1, stride, bias=False),
                    nn.BatchNorm2d(after * block.expansion),
                )
            blocks = [block(before, after, stride, downsample)]
            before = after * block.expansion
            blocks += [block(before, after) for _ in range(count - 1)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, classes)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for number in range(self.stages):
            x = getattr(self, f"layer{number + 1}")(x)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def cifar_resnet(depth: int, **options: Any) -> ResNet:
    return ResNet(BasicBlock, ((depth - 2) // 6,) * 3, **{"classes": 10, "width": 16, "stem": "cifar", **options})


class CharRNN(nn.Module):
    """Tokens embedded, a recurrent network, and logits."""

    def __init__(self, vocabulary: int, width: int = 128, layers: int = 2, cell: str = "lstm") -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.recurrent = kind(width, width, num_layers=layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Any, state: Any = None) -> Any:
        outputs, state = self.recurrent(self.embedding(tokens), state)
        return self.head(outputs), state


class _CausalSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)
        self.heads = heads

    def forward(self, x: Any) -> Any:
        n, length, width = x.shape
        q, k, v = (
            part.view(n, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(n, length, width))


class _Perceptron(nn.Module):
    def __init__(self, width: int, bias: bool, approximate: str) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width, bias=bias)
        self.c_proj = nn.Linear(4 * width, width, bias=bias)
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return self.c_proj(F.gelu(self.c_fc(x), approximate=self.approximate))


class _GPTBlock(nn.Module):
    def __init__(self, width: int, heads: int, bias: bool, approximate: str) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, bias=bias)
        self.attn = _CausalSelfAttention(width, heads, bias)
        self.ln_2 = nn.LayerNorm(width, bias=bias)
        self.mlp = _Perceptron(width, bias, approximate)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """The decoder of GPT-2 (Radford et al., 2019), in the shape that nanoGPT gave it."""

    def __init__(
        self,
        vocab_size: int,
        block_size: int,
        n_layer: int = 4,
        n_head: int = 4,
        n_embd: int = 128,
        bias: bool = False,
        approximate: str = "none",
    ) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocab_size, n_embd),
                "wpe": nn.Embedding(block_size, n_embd),
                "h": nn.ModuleList(_GPTBlock(n_embd, n_head, bias, approximate) for _ in range(n_layer)),
                "ln_f": nn.LayerNorm(n_embd, bias=bias),
            }
        )
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * n_layer) if name.endswith("c_proj.weight") else 0.02)

    def forward(self, tokens: Any) -> Any:
        parts = self.transformer
        x = parts["wte"](tokens) + parts["wpe"](torch.arange(tokens.shape[1], device=tokens.device))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


class Bert(nn.Module):
    """Devlin et al. (2019), evaluated: the weights are taken from a dict by Hugging Face's names."""

    def __init__(self, state: dict[str, Any], layers: int, heads: int, eps: float = 1e-12) -> None:
        super().__init__()
        self.state, self.layers, self.heads, self.eps = state, layers, heads, eps

    def _linear(self, name: str, x: Any) -> Any:
        return F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _norm(self, name: str, x: Any) -> Any:
        return F.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], self.eps)

    def forward(self, tokens: Any, mask: Any) -> Any:
        n, length = tokens.shape
        tables = {
            kind: self.state[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
        }
        x = tables["word"][tokens] + tables["position"][:length] + tables["token_type"][0]
        x = self._norm("embeddings.LayerNorm", x)
        for number in range(self.layers):
            block = f"encoder.layer.{number}"
            q, k, v = (
                self._linear(f"{block}.attention.self.{of}", x).view(n, length, self.heads, -1).transpose(1, 2)
                for of in ("query", "key", "value")
            )
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            weights = torch.softmax(scores.masked_fill(mask[:, None, None, :] == 0, -torch.inf), dim=-1)
            taken = (weights @ v).transpose(1, 2).reshape(n, length, -1)
            x = self._norm(
                f"{block}.attention.output.LayerNorm", self._linear(f"{block}.attention.output.dense", taken) + x
            )
            inner = F.gelu(self._linear(f"{block}.intermediate.dense", x))
            x = self._norm(f"{block}.output.LayerNorm", self._linear(f"{block}.output.dense", inner) + x)
        return x, torch.tanh(self._linear("pooler.dense", x[:, 0]))


class ViT(nn.Module):
    """Dosovitskiy et al. (2021)."""

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        layers: int,
        heads: int,
        hidden_dim: int,
        mlp_dim: int,
        classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(in_channels, hidden_dim, patch_size, stride=patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, hidden_dim))
        self.pos_embedding = nn.Parameter(torch.zeros(1, (image_size // patch_size) ** 2 + 1, hidden_dim))
        self.encoder = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    hidden_dim, heads, mlp_dim, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
                )
                for _ in range(layers)
            ),
            nn.LayerNorm(hidden_dim, eps=1e-6),
        )
        self.head = nn.Linear(hidden_dim, classes)

    def forward(self, x: Any) -> Any:
        rows = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(rows), -1, -1), rows], dim=1) + self.pos_embedding
        return self.head(self.encoder(x)[:, 0])
