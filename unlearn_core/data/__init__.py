"""Data sets: opening them, naming their classes, and cutting them into what is kept and what is forgotten."""

from unlearn_core.data.classes import align_classes as align_classes
from unlearn_core.data.classes import class_index as class_index
from unlearn_core.data.images import decode_image as decode_image
from unlearn_core.data.sets import Dataset as Dataset
from unlearn_core.data.sets import DatasetSpec as DatasetSpec
from unlearn_core.data.sets import ImageSet as ImageSet
from unlearn_core.data.sources import DATASETS as DATASETS
from unlearn_core.data.sources import DatasetSource as DatasetSource
from unlearn_core.data.sources import open_dataset as open_dataset
from unlearn_core.data.sources import parse_dataset as parse_dataset
from unlearn_core.data.split import ForgetSpec as ForgetSpec
from unlearn_core.data.split import ForgetSplit as ForgetSplit
from unlearn_core.data.split import everything as everything
from unlearn_core.data.split import split_dataset as split_dataset
