"""The coloured squares and the network trained on them, as a workflow opens them."""

import copy

import pytest

from unlearn_core.checkpoints.model_files import LoadedModel, digest_of, open_model
from unlearn_core.models.inference import choose_device


@pytest.fixture
def opened(trained, colours, colour_card, monkeypatch):
    """Makes a workflow module open the squares, and the trained network or a file's."""

    def install(module, path=None, card=colour_card):
        own = LoadedModel(copy.deepcopy(trained), card, None, digest_of(trained.net.state_dict()))
        loaded = open_model(path, device=choose_device("cpu")) if path else own
        opener = "open_for_training" if hasattr(module, "open_for_training") else "open_both"
        monkeypatch.setattr(module, opener, lambda *args: (colours, loaded))
        return loaded

    return install
