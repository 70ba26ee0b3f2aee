"""Training configuration: dataclasses, presets, strict YAML.

A preset is a YAML file in `training/presets`; a user's file (`--config`) may name one as its `preset` and overrides
single values of it. Unknown keys and values of a wrong type are errors that name the file, the key and the nearest
valid word. The resolved configuration is stored in every checkpoint.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from msmdcli.documents.nodes import DocumentError
from msmdcli.documents.tree import load_small_yaml
from msmdcli.errors import UsageError
from training.data.augment import AugmentConfig
from training.network.ear import EarConfig
from training.network.losses import LossWeights
from training.network.model import ModelConfig

PRESETS = Path(__file__).parent / "presets"
STUDENT_RATE = 0.25  # of the teacher's learning rate: a student starts where the teacher ended
Variant = Literal["msmd", "msmd-anchor", "no-cross", "vae-baseline", "diffposetalk", "unconditioned"]


@dataclass(frozen=True)
class AudioConfig:
    encoder: str = "hubert"  # hubert, whisper (tiny.en), whisper-base, wav2vec2, wavlm
    path: str | None = None  # local folder of the encoder; None = the shared material, else its hub name
    layers: tuple[int, ...] | None = None  # hidden states put side by side; None = the last
    stack: int = 1  # features per motion frame: 2 keeps all of a 50 Hz encoder at 25 frames/s
    chunk_seconds: float = 20.0  # long audio is encoded in chunks of this length
    overlap_seconds: float = 1.0  # context on either side of a chunk, thrown away


@dataclass(frozen=True)
class DataConfig:
    rig: str = "arkit52"  # name of the rig that the motion is on, or its YAML file
    fps: str = "25"
    sources: dict[str, float] | None = (
        None  # share of the samples by source, `*` for all others together; None = by duration
    )
    voices: dict[str, int] = field(default_factory=dict)  # augmented copies of each clip's voice, by source
    memory_gb: float = 4.0  # audio features held in RAM; the rest is read from disk when needed
    chain_short_clips: bool = False  # put clips of one speaker one after the other until two windows are full
    validation_without: tuple[
        str, ...
    ] = ()  # sources whose `val` clips are not looked at; never choose a model on the voices it trained on
    manner_start: float = 0.25  # share of performed windows at the start of their clip, with nothing before them
    truncate: float = 0.2  # share of windows that are cut to a random length, to teach short lines


@dataclass(frozen=True)
class RecipeConfig:
    """Material that `msmd train` makes by itself when no --data is given."""

    corpus: bool = False  # the shared talking-face corpus (`training.data.corpus`)
    performed_hours: float = 0.0  # synthetic speech performed whole in random manners (`training.speech.performed`)
    speech_hours: float = 0.0  # synthetic speech (`training.speech.speech`)
    speech_seed: int = 0
    # Synthesisers; those that are not installed are told and left out. Piper is not among them: its voice was tuned
    # from recordings whose terms it does not state.
    speech_engines: tuple[str, ...] = ("espeak-ng", "flite", "festival", "kokoro")


@dataclass(frozen=True)
class OptimiserConfig:
    lr: float = 1e-4
    weight_decay: float = 0.0
    batch: int = 16  # pairs of windows
    iterations: int = 200_000
    warmup: int = 0
    final_lr: float = 1.0  # the rate falls along a cosine to this share of `lr`; 1 = constant
    clip_gradient: float = 1.0
    ema: float = 0.999
    precision: Literal["no", "bf16", "fp16"] = "no"
    threads: int = 0  # CPU threads; 0 = PyTorch's own choice
    compile: bool = False


@dataclass(frozen=True)
class ScheduleConfig:
    validate_every: int = 1000
    checkpoint_every: int = 1000
    patience: int = 20  # validations without a better one before stopping
    # what "better" means: validation loss; lip-sync and error of generated validation clips; or `last`: the latest
    keep_by: Literal["loss", "score", "last"] = "loss"
    log_every: int = 20


@dataclass(frozen=True)
class DistilConfig:
    """Of a student (`training.network.distil`)."""

    teacher: str = ""  # the run that is learned from; empty: nobody, the model learns from the recordings
    steps: int = 2  # the student's network evaluations for a window
    substeps: int = 4  # the teacher's for each of them
    guidance_audio: float = 0.5  # of the teacher, folded into the student
    guidance_style: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.substeps < 1 or self.steps * self.substeps > 1000:
            raise ValueError("steps and substeps are 1 or more, and 1000 together at most")


@dataclass(frozen=True)
class TrainConfig:
    model: ModelConfig = field(default_factory=ModelConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    ear: EarConfig = field(default_factory=EarConfig)
    data: DataConfig = field(default_factory=DataConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    distil: DistilConfig = field(default_factory=DistilConfig)
    from_run: str = ""  # a finished run whose ear, mouth and styles this one keeps, and whose denoiser goes on learning
    variant: Variant = "msmd"
    cross: bool = True  # condition a window on the style of the other one (with probability 0.5), else always on itself
    mouth_iterations: int = 0  # the first steps, in which only the mouth's own path learns (`model.mouth_width`)
    mouth_anew: int = 0  # steps after the last one, in which that path learns anew (`training.loop.mouth_anew`)
    drop_condition: float = 0.1  # probability of dropping each condition, for classifier-free guidance
    time_power: float = (
        1.0  # t = T u^power for uniform u: below 1 the noisy steps come more often, which few-step sampling lives on
    )
    null_weight: float = 1.0  # weight of the windows whose style was dropped
    normalise: Literal["total", "within"] = (
        "total"  # spread of a channel: over everything, or around each clip's own mean
    )
    signed_eyes: bool = False  # ours: inside, two opposed channels of an eye are one (`msmdcli.model.normalisation`)
    contrastive_iterations: int = (
        0  # length of the contrastive pre-training of the style encoder (variant diffposetalk)
    )
    contrastive_temperature: float = 0.1
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def apply_variant(config: TrainConfig, variant: Variant) -> TrainConfig:
    """One switch, everything else equal (design: variants; the paper's tables 1 and 2).

    msmd: as designed. msmd-anchor: with the style anchor. no-cross: a window is only conditioned on itself.
    vae-baseline: VAE style, no basis, no cross.
    diffposetalk: style encoder pre-trained by contrast and frozen, no basis. unconditioned: no style at all.
    """
    anchored = variant == "msmd-anchor"
    model = dataclasses.replace(config.model, style_anchor=anchored, prior=config.model.prior and anchored)
    cross, contrastive = True, 0
    normalise = config.normalise if variant == "msmd-anchor" else "total"
    if variant == "no-cross":
        cross = False
    elif variant == "vae-baseline":
        model, cross = dataclasses.replace(model, basis_size=0), False
    elif variant == "diffposetalk":
        model = dataclasses.replace(model, basis_size=0, style="frozen")
        contrastive = config.contrastive_iterations or max(1, config.optimiser.iterations // 5)
    elif variant == "unconditioned":
        model = dataclasses.replace(model, basis_size=0, style="none", mouth_width=0)
    return dataclasses.replace(
        config, model=model, variant=variant, cross=cross, contrastive_iterations=contrastive, normalise=normalise
    )


def preset_names() -> list[str]:
    """The presets that ship."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_config(preset: str | None = None, file: Path | None = None) -> TrainConfig:
    """The configuration of a preset, overridden by a file.

    Raises:
        UsageError: unknown preset, unreadable file, unknown key or wrong type.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values = _read(file)
        preset = values.pop("preset", None) or preset
    names = preset_names()
    if preset is not None:
        if preset not in names:
            raise UsageError(
                f"unknown preset '{preset}'{_nearest(preset, names)}", hint=f"Presets: {', '.join(names)}."
            )
        values = _merge(_read(PRESETS / f"{preset}.yaml"), values)
    return config_from_dict(values, str(file or preset or "configuration"))


def states_sources(file: Path | None) -> bool:
    """Whether a configuration file says itself which sources are trained on, and in which shares.

    Raises:
        UsageError: unreadable file.
    """
    said = _read(file).get("data") if file else None
    return isinstance(said, dict) and "sources" in said


def load_student_config(teacher: TrainConfig, run: Path, file: Path | None = None) -> TrainConfig:
    """The configuration of a student: its teacher's, with a shorter and gentler training, overridden by a file.

    Args:
        teacher: the configuration that the teacher was trained with.
        run: the teacher's folder.
        file: settings of the student's own.

    Raises:
        UsageError: unreadable file, unknown key or wrong type.
    """
    values = _merge(teacher.to_dict(), _read(PRESETS.parent / "student.yaml"))
    values["optimiser"]["lr"] = STUDENT_RATE * teacher.optimiser.lr
    values = _merge(values, _read(file) if file else {})
    values["distil"]["teacher"] = str(run.resolve())
    values["from_run"] = ""
    return config_from_dict(values, str(file or "configuration"))


def config_from_dict(values: dict[str, Any], where: str = "configuration") -> TrainConfig:
    """Strictly typed configuration from plain values, such as those of a checkpoint."""
    config: TrainConfig = _build(TrainConfig, values, where, "")
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        values = load_small_yaml(path)
    except DocumentError as error:
        raise UsageError(f"configuration {error.message}", hint=error.hint) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(f"configuration {path} must be a mapping of settings")
    return values


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _nearest(word: str, words: list[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _build(kind: Any, values: Any, where: str, path: str) -> Any:
    if not isinstance(values, dict):
        raise UsageError(f"{where}: {path or 'top level'} must be a mapping, not {values!r}")
    hints = get_type_hints(kind)
    arguments = {}
    for key, value in values.items():
        name = f"{path}.{key}" if path else str(key)
        if key not in hints:
            raise UsageError(
                f"{where}: unknown key '{name}'{_nearest(str(key), list(hints))}",
                hint=f"Keys here: {', '.join(hints)}.",
            )
        arguments[key] = _convert(hints[key], value, where, name)
    try:
        return kind(**arguments)
    except ValueError as error:
        raise UsageError(f"{where}: {path or 'configuration'}: {error}") from error


def _convert(kind: Any, value: Any, where: str, name: str) -> Any:
    """`value` as type `kind`, or an error that names the place."""
    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, where, name)
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where, name)
    if origin is Literal:
        if value not in arguments:
            raise UsageError(
                f"{where}: {name} is {value!r}{_nearest(str(value), [str(a) for a in arguments])}",
                hint=f"Choose one of {arguments}.",
            )
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(arguments[0], v, where, name) for v in value)
    if origin is dict and isinstance(value, dict):
        return {
            _convert(arguments[0], k, where, name): _convert(arguments[1], v, where, f"{name}.{k}")
            for k, v in value.items()
        }
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as text
        try:
            return float(value)
        except ValueError:
            pass
    if kind in (int, bool, str) and type(value) is kind:
        return value
    raise UsageError(f"{where}: {name} must be {getattr(kind, '__name__', kind)}, not {value!r}")
