"""One measured model: what it was made from, how, and what it still knows; plain, and without torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from unlearn_core.errors import UnlearnError
from unlearn_core.store.records import is_run_id
from unlearn_core.unlearning.registry import METHODS, REFERENCE

ORIGINAL = "original"
"""What the model is called that nothing has been forgotten from."""

FEDERATED = "federated_"
"""Before a method's name, where its images never left their clients: neither its work nor its reference is the same."""
STORED = "stored"
"""In a trial's facts where it was measured when the app was made, on another machine."""
_STORED_SEED = 0
STRICT = "strict"
"""After a sparsifier's name, where the mask never saw the forget set."""
_STRICT_FOR_OTHERS = "strict for other images"

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """A measured model. Shares lie in [0, 1]; None stands for what was not measured.

    Attributes:
        source: A run's id, or a study's name.
        part: Which model of the source it is: `after`, a control's name, or `before`.
        method: Name in the registry of methods; `original` for the model that it began with.
        params: The method's settings.
        chosen: How the settings were chosen, a key of `provenance.CHOSEN`; empty where there are none.
        model: Name of the model that it began with.
        base: Hash of the dense model's weights, which a sparse model came from.
        arch: Architecture.
        data: Data set.
        data_digest: Hash of the images.
        classes: Forgotten classes; empty for a random share.
        fraction: Random share that is forgotten; 0 for classes.
        digest: Hash of the forget set.
        seed: Of every random draw.
        sparsity: Share of the convolutions' weights that the model it began with lacks; 0 for a dense one.
        sparsifier: How they were chosen, and whether without the forget set ("omp, strict"); empty for a dense one.
        seconds: Everything that the method itself needed, without making the model sparse beforehand; None for the original.
        preparing: Of these, the seconds until channels were pruned, before fine-tuning; None for methods that prune none.
        draw: Seed of the draw of a random share; 0 for classes.
        sparsifying: Seconds that making the model sparse took beforehand, training included; None for a dense one.
        ua: Unlearning accuracy: 1 less the accuracy on the forget set.
        mia: MIA efficacy: share of the forget set that is judged not to have been trained on.
        ra: Remaining accuracy, on the retained training images.
        ta: Testing accuracy, on the test images of the classes to keep.
        forget_test: Accuracy on the test images of the forgotten classes.
        per_class: Test accuracy by class, (K,).
        per_class_total: Test images by class, (K,).
        names: The class names, (K,).
        mia_privacy: Balanced accuracy of the attack on retained against test images; 0.5 tells nothing.
        loss_attack: Accuracy of telling the forget set from unseen images by loss; 0.5 is ideal.
        js: Mean Jensen-Shannon divergence to the retrained model by image set, natural log.
        agreement: Share of images that it answers like the retrained model, by image set.
        facts: What the method noted: epochs, channels, choices.
        course: Of retraining, after each epoch or round: seconds so far, and test accuracy on the classes to keep, (E, 2).

    Paper: Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023, arXiv 2304.04934, section 4.
    """

    source: str
    part: str
    method: str
    params: Plain
    chosen: str
    model: str
    base: str
    arch: str
    data: str
    data_digest: str
    classes: tuple[str, ...]
    fraction: float
    digest: str
    seed: int
    sparsity: float
    sparsifier: str
    seconds: float | None
    preparing: float | None
    ua: float | None
    mia: float | None
    ra: float | None
    ta: float | None
    forget_test: float | None
    per_class: tuple[float | None, ...]
    per_class_total: tuple[int, ...]
    names: tuple[str, ...]
    mia_privacy: float | None
    loss_attack: float | None
    js: Mapping[str, float] | None
    agreement: Mapping[str, float] | None
    facts: Plain
    course: tuple[tuple[float, float], ...] = ()
    sparsifying: float | None = None
    draw: int = 0

    @property
    def federated(self) -> bool:
        """Whether its images never left their clients."""
        return self.method.startswith(FEDERATED)

    @property
    def stored(self) -> str:
        """Where it was measured, if not here: the name of a study, or of a run that came with the app."""
        if is_run_id(self.source):
            return STORED if self.facts.get(STORED) else ""
        return self.source

    @property
    def scenario(self) -> tuple[str, tuple[str, ...], float]:
        """What is forgotten of which images: only trials with the same one can be compared."""
        return self.data_digest, self.classes, self.fraction


def to_plain(trial: Trial) -> dict[str, Any]:
    """As JSON takes it."""
    return asdict(trial)


def from_plain(values: Plain) -> Trial:
    """The trial that `to_plain` made the values of."""
    listed = {
        f.name: values[f.name] for f in fields(Trial) if f.name not in ("course", "sparsifying", "draw")
    }
    listed |= {"sparsifying": values.get("sparsifying"), "draw": int(values.get("draw", 0))}
    listed["course"] = tuple((float(s), float(share)) for s, share in values.get("course", ()))
    for name in ("classes", "per_class", "per_class_total", "names"):
        listed[name] = tuple(listed[name])
    return Trial(**listed)


def trials_of(source: str, result: Plain, request: Plain, sparse: Plain | None = None) -> list[Trial]:
    """Every model that an unlearning run measured: the original, the method's, then its controls'.

    None where nothing was to be forgotten, as in federated training.

    Args:
        source: The run's id.
        result: The run's plain result, of a run of one machine or of a federated one.
        request: What the run was asked for: `settings` and `params`.
        sparse: Of the model that the run began with, the card's facts: `sparsity`, `sparsified_from`, `unlearned_from`.
            None for a dense one.

    Raises:
        UnlearnError: The result is not as this version writes one.
    """
    try:
        return _all_of(source, result, request, sparse or {})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnlearnError(
            f"The result of {source} was written by another version of Lethe (it lacks {error}); run it again."
        ) from error


def is_control(method: str) -> bool:
    """Whether a trial's method is there for what it says of others: the original model, and the controls, federated too."""
    known = METHODS.get(method.removeprefix(FEDERATED))
    return method == ORIGINAL or (known is not None and known.control)


def _all_of(source: str, result: Plain, request: Plain, sparse: Plain) -> list[Trial]:
    if not result["forget"]["classes"] and not result["forget"]["fraction"]:
        return []
    shared = _shared(source, result, request, sparse)
    prefix = FEDERATED if result.get("kind") == "federated" else ""
    before = {"evaluation": result["before"], "params": {}, "facts": {}}
    main = {**result, "evaluation": result["after"], **_nearness(result.get("to_retrain"))}
    # Rounds, clients and partition are settings of a federated result like any other.
    main["params"] = {**(result.get("params") or {}), **result.get("federation", {}).get("settings", {})}
    parts = [
        _trial(shared, "before", ORIGINAL, {**before, **_nearness(result.get("before_to_retrain"))}, ""),
        _trial(shared, "after", f"{prefix}{result['method']}", main, str(result.get("chosen", ""))),
    ]
    return parts + [_control(shared, name, control) for name, control in result["controls"].items()]


def _control(shared: Plain, name: str, control: Plain) -> Trial:
    values = {**control, **_nearness(control.get("to_retrain"))}
    if not control.get("stored"):
        return _trial(shared, name, name, values, str(values.get("chosen", "")))
    # One stored model stands beside runs of every seed: under their seeds it would look like many that all agree.
    values["facts"] = {**(control.get("facts") or {}), STORED: True}
    return _trial({**shared, "seed": _STORED_SEED}, name, name, values, str(values.get("chosen", "")))


def _shared(source: str, result: Plain, request: Plain, sparse: Plain) -> dict[str, Any]:
    inputs, forget = result["inputs"], result["forget"]
    return {
        "source": source,
        "model": inputs["model"],
        "base": _base(inputs["model_digest"], sparse),
        "arch": inputs["arch"],
        "data": inputs["data"],
        "data_digest": inputs["data_digest"],
        "classes": tuple(forget["classes"]),
        "fraction": float(forget["fraction"]),
        "digest": forget["digest"],
        "seed": int(request.get("settings", {}).get("seed", 0)),
        "draw": int(request.get("settings", {}).get("share_seed") or 0) if forget["fraction"] else 0,
        # Where the sparse model's card is gone, the result still knows how sparse it was.
        "sparsity": float(sparse.get("sparsity", {}).get("measured", result.get("sparsity") or 0.0)),
        "sparsifier": _sparsifier(sparse.get("sparsity", {}), forget["digest"]),
        "sparsifying": sparse.get("sparsity", {}).get("seconds"),
    }


def _sparsifier(made: Plain, digest: str) -> str:
    """How a mask was chosen; a strict one remembers nothing of the images that it was chosen without, and of those alone."""
    method = str(made.get("method", ""))
    if not made.get("strict"):
        return method
    same = (made.get("forget") or {}).get("digest") == digest
    return f"{method}, {STRICT if same else _STRICT_FOR_OTHERS}"


def _base(digest: str, sparse: Plain) -> str:
    """The dense model that a sparse one came from; one that has unlearned in between is a model of its own."""
    return str((not sparse.get("unlearned_from") and sparse.get("sparsified_from")) or digest)


def _trial(shared: Plain, part: str, method: str, values: Plain, chosen: str) -> Trial:
    evaluation = values["evaluation"]
    attacks = evaluation.get("mia") or {}
    return Trial(
        **shared,
        part=part,
        method=method,
        params=dict(values.get("params") or {}),
        chosen=chosen,
        seconds=values.get("seconds"),
        preparing=_preparing(values.get("ladder") or ()),
        **{name: evaluation.get(name) for name in ("ua", "ra", "ta")},
        mia=attacks.get("efficacy"),
        forget_test=evaluation.get("forget_test_accuracy"),
        per_class=tuple(evaluation["per_class"]),
        per_class_total=tuple(evaluation["per_class_total"]),
        names=tuple(evaluation["classes"]),
        mia_privacy=attacks.get("privacy"),
        loss_attack=attacks.get("loss_attack"),
        js=values.get("js"),
        agreement=values.get("agreement"),
        facts=dict(values.get("facts") or {}),
        course=_course(values.get("ladder") or ()) if method.removeprefix(FEDERATED) == REFERENCE else (),
    )


def _preparing(ladder: Any) -> float | None:
    """Seconds until channels were pruned, before fine-tuning."""
    return next((rung.get("seconds") for rung in ladder if rung["rung"] == "pruned"), None)


def _course(ladder: Any) -> tuple[tuple[float, float], ...]:
    """After each epoch of retraining: seconds so far, and test accuracy on the classes to keep."""
    known = [(r.get("seconds"), r.get("retain_test_accuracy")) for r in ladder]
    return tuple((float(s), float(share)) for s, share in known if s is not None and share is not None)


def _nearness(to_retrain: Plain | None) -> dict[str, Any]:
    return {name: (to_retrain or {}).get(name) for name in ("js", "agreement")}
