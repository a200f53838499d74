"""Observations from networks with the user's weights: one file a kind of model, put together by `frontend`."""

from vm_reconstruction.frontends.networks.frontend import NetworkFrontend

__all__ = ["NetworkFrontend"]
