"""What is taken of Flower's strategies: the arithmetic of FedTrimmedAvg, apart from its messages."""

from flwr.serverapp.strategy.fedtrimmedavg import trim_mean

__all__ = ["trim_mean"]
