"""The classic systems that backpropagation is taught with, ready to be trained."""

from .autoencoder import VAE, Autoencoder
from .bert import Bert, SentenceEncoder
from .char_rnn import CharRNN
from .dcgan import Discriminator, Generator
from .gpt import GPT, from_gpt2_state_dict
from .lenet import LeNet
from .mlp import MLP
from .resnet import BasicBlock, Bottleneck, ResNet, cifar_resnet, resnet18, resnet34, resnet50
from .sampling import sample_tokens
from .vit import ViT

__all__ = [
    "GPT", "MLP", "VAE", "Autoencoder", "BasicBlock", "Bert", "Bottleneck", "CharRNN", "Discriminator", "Generator",
    "LeNet", "ResNet", "SentenceEncoder", "ViT", "cifar_resnet", "from_gpt2_state_dict", "resnet18", "resnet34",
    "resnet50", "sample_tokens",
]  # fmt: skip
