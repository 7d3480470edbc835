"""A small job on digits, as every engine gets it."""

import pytest

from unlearn_core.checkpoints.model_files import fresh_model
from unlearn_core.data.sources import open_dataset, parse_dataset
from unlearn_core.federated.job import Job, write_job
from unlearn_core.federated.request import PARAMS, FederatedRequest
from unlearn_core.models.specs import ModelCard, ModelSpec, Normalization
from unlearn_core.params import build

PRUNE = {"where": "all", "ratio": 0.3, "precision": "float32"}
PRIVACY = {"k": 1, "epsilon": 0.0, "delta": 1e-5, "clip": 0.5}
HALF = Normalization("custom", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="session")
def digits():
    return open_dataset(parse_dataset("digits"))


@pytest.fixture
def job_in(digits):
    """Writes a job of unlearning the digit 3 into a folder, which it makes; the request is as given."""

    def make(folder, privacy=(), **request):
        folder.mkdir(exist_ok=True)
        spec = ModelSpec("cifar_resnet20_b", 10, width=0.125)
        card = ModelCard("tiny", spec, digits.classes, HALF, 32, "digits", {})
        settings = build(FederatedRequest, {"clients": 4, "rounds": 0, "device": "cpu", **request})
        job = Job(settings, build(PARAMS["unlearn"], PRUNE), {**PRIVACY, **dict(privacy)}, (3,))
        write_job(folder, job, fresh_model(card, 0), card)
        return folder

    return make
