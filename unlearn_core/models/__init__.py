"""Models: which nets there are, how their files are read, what their input needs."""

from unlearn_core.models.classifier import Classifier as Classifier
from unlearn_core.models.normalizing import fit_normalization as fit_normalization
from unlearn_core.models.normalizing import own_normalization as own_normalization
from unlearn_core.models.reading import TensorFile as TensorFile
from unlearn_core.models.reading import read_tensors as read_tensors
from unlearn_core.models.recognition import Differences as Differences
from unlearn_core.models.recognition import differences as differences
from unlearn_core.models.recognition import load_into as load_into
from unlearn_core.models.recognition import matching as matching
from unlearn_core.models.recognition import recognise as recognise
from unlearn_core.models.recognition import require_fit as require_fit
from unlearn_core.models.registry import ARCHITECTURES as ARCHITECTURES
from unlearn_core.models.registry import Architecture as Architecture
from unlearn_core.models.registry import build_net as build_net
from unlearn_core.models.registry import build_shell as build_shell
from unlearn_core.models.registry import find_architecture as find_architecture
from unlearn_core.models.specs import NORMALIZATIONS as NORMALIZATIONS
from unlearn_core.models.specs import ModelCard as ModelCard
from unlearn_core.models.specs import ModelSpec as ModelSpec
from unlearn_core.models.specs import Normalization as Normalization
from unlearn_core.models.specs import card_from_plain as card_from_plain
from unlearn_core.models.specs import card_to_plain as card_to_plain
from unlearn_core.models.specs import parse_normalization as parse_normalization
from unlearn_core.models.specs import spec_from_plain as spec_from_plain
from unlearn_core.models.specs import spec_to_plain as spec_to_plain
