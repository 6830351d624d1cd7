"""A training run: Algorithm 1 from start to stopping rule, resumable with the bits of one that never stopped."""

import hashlib
import json
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from gan_repro.checkpoints import damaged, load_checkpoint, remove_unfinished, save_checkpoint
from gan_repro.config import TrainingConfig
from gan_repro.game import STATISTICS, Game
from gan_repro.pairs import Images
from gan_repro.paths import RUNS
from gan_repro.progress import Progress
from gan_repro.provenance import changed_since, session
from gan_repro.scoring import validation_scores

# To be raised by a change of what is computed: draws, formulas, schedule. One that changes rounding alone, as another
# processor would, is told by the commits that a run lists with its sessions.
RECIPE = 1
RECIPES = {"cifar10_conv": 2}  # of a pair that has its own: 2, a narrower D begins with larger weights


LOOK_INTERVAL = 100  # steps between two looks whether D's logits are finite: an epoch of a large pair takes minutes

FACTS = {"recipe", "config", "data_md5", "step", "history", "best", "seconds"}  # that every checkpoint of a run has


class NotFiniteError(RuntimeError):
    """A loss or weight became NaN or infinite; the message names the epoch, the step and the last good checkpoint."""


@dataclass(frozen=True)
class Best:
    """The epoch of the best validation score, with the scores and the weights of G at its end."""

    epoch: int
    scores: dict[str, dict[str, float]]  # as scoring.parzen_scores returns them
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    config: TrainingConfig
    data_md5: dict[str, str]
    folder: Path
    history: list[dict[str, Any]]  # one row an epoch: STATISTICS, and the scores where it was scored
    best: dict[str, Best]  # "G", and "ema": the average of G's weights
    stopped_by: str  # "patience" or "max_epochs"
    seconds: float  # of training and scoring, all sessions together
    sessions: list[dict[str, Any]]  # provenance.session of each process that trained, with the step it began at
    last: dict[str, Tensor]  # weights of G after the last epoch
    stage_1: dict[str, Any] | None = (
        None  # of a stage 2: epochs, seconds and sessions of its stage 1, hash of its last G
    )

    @property
    def epochs(self) -> int:
        return len(self.history)


def train(
    config: TrainingConfig,
    data: Images,
    *,
    runs: Path = RUNS,
    device: torch.device | str = "cpu",
    show: Callable[[str], None] | None = print,
) -> Run:
    """Train G and D until the validation log-likelihood has not risen for `patience` epochs, or for `max_epochs`.

    The run lives in a folder below `runs` that is its own by configuration, data and recipe: a finished run is
    returned at once, an interrupted one goes on where it stopped, anything else starts anew. `show` gets the lines of
    the progress report (None: no report). Ctrl-C leaves a checkpoint of the step it came in. A stage 2 of the faces
    trains its stage 1 first, unless that run has finished.
    Raises NotFiniteError; ValueError if config asks for more images than there are or for others; RuntimeError if
    another process trains this run now, if its checkpoint is damaged, or if none can be written (the one before is then
    still good).
    """
    folder = run_folder(config, data.md5, runs)
    with lock(folder):
        remove_unfinished(folder)
        return Trainer(config, data, folder, torch.device(device)).run(show)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """The folder of a run, made if it is not there, for this process alone."""
    file = FileLock(folder / "lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.acquire()
    except Timeout:
        raise RuntimeError(f"another process is training this run in {folder}: wait for it, or stop it first") from None
    except OSError as error:
        raise RuntimeError(f"the run cannot be kept in {folder}: {error.strerror}; give it another place") from error
    try:
        yield
    finally:
        file.release()


def recipe_of(config: TrainingConfig) -> int:
    """The version of the recipe that a run with this configuration has now."""
    return RECIPES.get(config.pair, RECIPE)


def run_folder(config: TrainingConfig, data_md5: dict[str, str], runs: Path = RUNS) -> Path:
    """The folder of one run: its name holds a hash of all that decides the result."""
    identity = json.dumps([recipe_of(config), asdict(config), data_md5], sort_keys=True)
    return runs / f"{config.pair}-seed{config.seed}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def check_enough(config: TrainingConfig, data: Images) -> None:
    """Raises ValueError if a configuration wants more images than there are."""
    for name, images in (("num_train", data.train), ("num_valid", data.valid)):
        if getattr(config, name) > len(images):
            raise ValueError(f"{name} is {getattr(config, name)}: there are only {len(images)} such images")


class Trainer:
    """The state of one run and the loop over it."""

    def __init__(self, config: TrainingConfig, data: Images, folder: Path, device: torch.device):
        check_enough(config, data)
        self.config, self.data, self.folder, self.device = config, data, folder, device
        self.game = Game(config, data.train[: config.num_train].to(device))
        self.saved_step = 0  # those in the checkpoint
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Best] = {}
        self.seconds = 0.0
        self.sessions: list[dict[str, Any]] = []
        self.stage_1: dict[str, Any] | None = None

    def run(self, show: Callable[[str], None] | None) -> Run:
        """From the last checkpoint, or the start, to the end."""
        if not self.resume() and self.config.stage_1_epochs:
            self.begin_stage_2(show)
        if self.stopped_by() is None:
            self.begin_session()
        progress = Progress(self.config, len(self.history), show)
        with interrupt_flag() as interrupted:
            while (stopped_by := self.stopped_by()) is None:
                self.run_epoch(interrupted, progress)
        if interrupted:  # while the last epoch was scored
            raise KeyboardInterrupt(f"stopped after the last step; {self.folder} holds the finished run")
        return Run(
            self.config,
            self.data.md5,
            self.folder,
            self.history,
            self.best,
            stopped_by,
            round(self.seconds, 1),
            self.sessions,
            self.game.G.state_dict(),
            self.stage_1,
        )

    def begin_session(self) -> None:
        """Note what trains from here on, and say so where that means other bits than before."""
        now = session(self.device) | {"from_step": self.game.step}
        for key in ("versions", "machine", "device"):
            if self.sessions and self.sessions[-1][key] != now[key]:
                warnings.warn(
                    f"the run in {self.folder} began with {key} {self.sessions[-1][key]} and goes on with {now[key]}: "
                    "from here on its bits are not those of an uninterrupted run",
                    stacklevel=2,
                )
        if self.sessions and (changed := changed_since(self.sessions[-1])):
            warnings.warn(
                f"the run in {self.folder} goes on with other code of {', '.join(changed)}: if that changes more than "
                "rounding, raise training.RECIPE",
                stacklevel=2,
            )
        self.sessions.append(now)

    def run_epoch(self, interrupted: list[bool], progress: Progress) -> None:
        began, seconds_before, per_epoch = time.perf_counter(), self.seconds, self.config.steps_per_epoch
        game = self.game
        while game.step < (len(self.history) + 1) * per_epoch:
            game.update()
            self.seconds = seconds_before + time.perf_counter() - began
            if interrupted or (game.step % LOOK_INTERVAL == 0 and not game.last_logits().isfinite().all()):
                self.check_finite()
            if interrupted:
                self.save()
                raise KeyboardInterrupt(f"stopped after step {game.step}; {self.folder} holds the checkpoint")
            progress.step(game.step % per_epoch or per_epoch, self.seconds)
        statistics = self.check_finite()
        row = {"epoch": len(self.history) + 1}
        row |= dict(zip(STATISTICS, statistics.double().mean(dim=0).tolist(), strict=True))
        if self.is_due(row["epoch"]):
            row |= self.score(row["epoch"])
        self.history.append(row)
        self.seconds = seconds_before + time.perf_counter() - began
        self.save()
        progress.epoch(row, self.seconds)

    def is_due(self, epoch: int) -> bool:
        """Whether G is scored after this epoch."""
        return epoch % self.config.score_every == 0 or epoch == self.config.max_epochs

    def score(self, epoch: int) -> dict[str, Any]:
        """Score G and its average on the validation images, and keep the best of each."""
        scores = {}
        for name, G in (("G", self.game.G), ("ema", self.game.ema)):
            scores[name] = validation_scores(G, self.data.valid, self.config)
            if name not in self.best or score_of(scores[name]) > score_of(self.best[name].scores):
                copies = {key: value.clone() for key, value in G.state_dict().items()}
                self.best[name] = Best(epoch, scores[name], copies)
        return scores

    def stopped_by(self) -> str | None:
        """Why the run ends here, if it does. Patience is looked at after a scored epoch alone, so that the last G has a
        score: a run that an earlier version ended between two of them goes on to the next."""
        if len(self.history) >= self.config.max_epochs:
            return "max_epochs"
        epochs = len(self.history)
        is_scored = epochs > 0 and self.is_due(epochs)
        if is_scored and epochs - self.best["G"].epoch >= self.config.patience:
            return "patience"
        return None

    def check_finite(self) -> Tensor:
        """The statistics of this epoch's steps. Raises NotFiniteError if a logit, loss or weight is not finite.

        It is called after an epoch, before a checkpoint in the middle of one, and where the logits of every hundredth
        step are not finite: to look at every step would make a GPU wait.
        """
        statistics = self.game.statistics()
        of_losses = statistics.isfinite().all(dim=1)
        bad_steps = (~(of_losses & self.game.logits[: len(statistics)].isfinite().all(dim=1))).nonzero()
        bad_weights = [
            f"{name}.{key}"
            for name, net in (("G", self.game.G), ("D", self.game.D))
            for key, value in net.state_dict().items()
            if not value.isfinite().all()
        ]
        if len(bad_steps) == 0 and not bad_weights:
            return statistics
        first = int(bad_steps[0]) + 1 if len(bad_steps) else len(statistics)
        of_steps = "a logit of D is" if of_losses.all() else "a loss is"
        what = of_steps if len(bad_steps) else f"the weight {bad_weights[0]} is"
        where = f"epoch {len(self.history) + 1}, step {first} of {self.config.steps_per_epoch}"
        raise NotFiniteError(f"{what} not finite: {where}. {self.good_checkpoint()} A lower lr usually helps.")

    # Checkpoints ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        tensors = {
            "game": self.game.state_dict(),
            "best": {name: best.weights for name, best in self.best.items()},
        }
        facts = {
            "recipe": recipe_of(self.config),
            "config": asdict(self.config),
            "data_md5": self.data.md5,
            "step": self.game.step,
            "history": self.history,
            "best": {name: [best.epoch, best.scores] for name, best in self.best.items()},
            "seconds": self.seconds,
            "sessions": self.sessions,
        } | ({"stage_1": self.stage_1} if self.stage_1 else {})
        try:
            save_checkpoint(self.folder, tensors, facts)
        except OSError as error:
            why = f"the checkpoint of step {self.game.step} cannot be written: {error.strerror}"
            raise RuntimeError(f"{why}. {self.good_checkpoint()} Make room and run this again.") from error
        self.saved_step = self.game.step

    def good_checkpoint(self) -> str:
        """Where the run would go on from, in a sentence."""
        if not self.saved_step:
            return "There is no good checkpoint yet."
        epoch, step = divmod(self.saved_step, self.config.steps_per_epoch)
        where = f"step {step} of epoch {epoch + 1}" if step else f"the end of epoch {epoch}"
        return f"The last good checkpoint, of {where}, is in {self.folder}."

    def begin_stage_2(self, show: Callable[[str], None] | None) -> None:
        """Take the last G of stage 1 of the faces, which is a run of its own and trained first if need be."""
        run = train(self.config.stage_1(), self.data, runs=self.folder.parent, device=self.device, show=show)
        if changed := changed_since(run.sessions[-1]):
            warnings.warn(f"stage 1 in {run.folder} was trained by other code of {', '.join(changed)}", stacklevel=2)
        weights = load_run(run.folder)[0]["game"]["G"]
        self.game.begin_stage_2(weights)
        self.stage_1 = {
            "epochs": run.epochs,
            "seconds": run.seconds,
            "sessions": run.sessions,
            "sha256": hash_of(weights),
        }

    def resume(self) -> bool:
        """Take up the state of this run's checkpoint, or else of one of another length; False: there is none."""
        own = load_run(self.folder)
        saved = own or self.run_of_other_length()
        if saved is None:
            return False
        tensors, facts = saved
        self.game.load_state_dict(tensors["game"], facts["step"])
        self.history, self.seconds = facts["history"], facts["seconds"]
        self.sessions = facts.get("sessions", [])  # not kept by the first checkpoints
        self.stage_1 = facts.get("stage_1")
        for name, (epoch, scores) in facts["best"].items():
            weights = {key: value.to(self.device) for key, value in tensors["best"][name].items()}
            self.best[name] = Best(epoch, scores, weights)
        self.saved_step = self.game.step
        if own is None:
            self.save()
        return True

    def run_of_other_length(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The checkpoint furthest on of a run with another max_epochs, or from before a field of the configuration
        existed, and else the same, that does what this one does up to its last step: it is this run so far."""
        best = None  # and no list: a checkpoint can have gigabytes
        for folder in self.folder.parent.glob(f"{self.config.pair}-seed{self.config.seed}-*"):
            try:
                saved = None if folder == self.folder else load_run(folder)
            except RuntimeError as error:  # perhaps quite another run: no reason to stop this one
                warnings.warn(str(error), stacklevel=2)
                continue
            if saved is None or (saved[1]["recipe"], saved[1]["data_md5"]) != (recipe_of(self.config), self.data.md5):
                continue
            other = asdict(TrainingConfig()) | saved[1]["config"]  # fields younger than the run have their defaults
            same = other | {"max_epochs": self.config.max_epochs} == asdict(self.config)
            # A last epoch is scored whatever score_every says, which a run of another length would not have done.
            scored_alike = all(self.is_due(row["epoch"]) == ("G" in row) for row in saved[1]["history"])
            step, end = saved[1]["step"], self.config.max_epochs * self.config.steps_per_epoch
            if same and scored_alike and step <= end and (best is None or step > best[1]["step"]):
                best = saved
        return best


def load_run(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """`checkpoints.load_checkpoint`, which also raises RuntimeError where the checkpoint is none of a run."""
    saved = load_checkpoint(folder)
    if saved is not None and not (isinstance(saved[0], dict) and isinstance(saved[1], dict)):
        raise damaged(folder, "it holds no run")
    if saved is not None and (missing := ({"game", "best"} - saved[0].keys()) | (FACTS - saved[1].keys())):
        raise damaged(folder, f"it lacks {', '.join(sorted(missing))}")
    return saved


def hash_of(weights: dict[str, Tensor]) -> str:
    """SHA-256 of the numbers of a net's weights, in order of their names."""
    found = hashlib.sha256()
    for _, value in sorted(weights.items()):
        found.update(value.cpu().contiguous().numpy())
    return found.hexdigest()


def score_of(scores: dict[str, dict[str, float]]) -> float:
    """What chooses the epoch: the validation log-likelihood by the authors' grid, as in the headline. NaN is worst."""
    value = scores["authors"]["log_likelihood"]
    return -math.inf if math.isnan(value) else value


@contextmanager
def interrupt_flag() -> Iterator[list[bool]]:
    """Within it, Ctrl-C (SIGINT) fills the list instead of breaking a step in two; a second Ctrl-C breaks it."""
    flag: list[bool] = []

    def note(signum: int, frame: Any) -> None:
        if flag:
            raise KeyboardInterrupt
        flag.append(True)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread, which alone gets signals
        yield flag
        return
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
