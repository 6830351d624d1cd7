"""Rows beside Table 1 that need no net: k-means centres and Gaussians, scored as if they were samples of a model.

They tell what a Parzen score is worth: Theis et al. (2016) found k-means centres above real data. k-means and the
mixture are scikit-learn's; the draws of the other Gaussians are in gan_repro/gaussians.py.
`python -m gan_repro.baselines.peers --data FER-2013 num_components=20` writes to results/again/.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_repro.baselines.checks import check
from gan_repro.baselines.fit import DATA, data_name, plus_minus, scores_of_samples
from gan_repro.data import to_unit
from gan_repro.download import DataError
from gan_repro.faces import Faces
from gan_repro.gaussians import gaussian_draws
from gan_repro.pairs import Images
from gan_repro.paths import REAL_FACES, RESULTS, RUNS, SAMPLES
from gan_repro.results import nats, read_results, relative, write_results
from gan_repro.weights import kept_beside, pack_samples, write_beside
from gan_repro.words import check_all_taken, split_words, with_fields

NUM_KEPT = 20  # of each set, drawn from it at random


@dataclass(frozen=True, kw_only=True)
class PeersConfig:
    """What decides the sets, beside the data. All values are ours but num_samples."""

    seed: int = 0  # of all draws
    num_train: int = 50_000  # training images that are learned from, the first
    num_samples: int = 10_000  # draws of each (Section 5); also the number of k-means centres
    kmeans_iterations: int = 10  # of Lloyd's algorithm
    num_components: int = 50  # principal components of the last two
    mixture_size: int = 50  # Gaussians in the mixture
    mixture_iterations: int = 200  # of expectation maximisation, at most

    def __post_init__(self):
        check(self)
        for name, what in (("num_samples", "k-means centres"), ("mixture_size", "Gaussians in the mixture")):
            if (number := getattr(self, name)) > self.num_train:
                raise ValueError(f"{name} is {number}: there cannot be more {what} than images, {self.num_train}")


def make_peers(config: PeersConfig, x: Tensor) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The sets by their rows' names, (num_samples, d) each, not clipped; and the seconds that each took, fit and draws.

    x: (num_train, d) in [0, 1].
    """
    generator = torch.Generator().manual_seed(config.seed)
    how: dict[str, Callable[[], Tensor]] = {  # in this order, in which they use the generator
        "k-means centres": lambda: k_means_centres(config, x),
        "Gaussian, diagonal": lambda: diagonal_draws(x, config.num_samples, generator),
        "Gaussian, full covariance": lambda: gaussian_draws(x, config.num_samples, generator),
        "Gaussian, principal components": lambda: gaussian_draws(
            x, config.num_samples, generator, num_components=config.num_components
        ),
        "Gaussian mixture": lambda: mixture_draws(config, x),
    }
    made, seconds = {}, {}
    for name, make in how.items():
        began = time.perf_counter()
        made[name] = make()
        seconds[name] = round(time.perf_counter() - began, 1)
    return made, seconds


def k_means_centres(config: PeersConfig, x: Tensor) -> Tensor:
    from sklearn.cluster import KMeans  # here, since it takes seconds

    c = config
    k_means = KMeans(c.num_samples, init="random", n_init=1, max_iter=c.kmeans_iterations, random_state=c.seed)
    return torch.from_numpy(k_means.fit(x).cluster_centers_)


def diagonal_draws(x: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
    return x.mean(dim=0) + x.std(dim=0) * torch.randn(num_samples, x.shape[1], generator=generator)


def mixture_draws(config: PeersConfig, x: Tensor) -> Tensor:
    """Draws of a Gaussian mixture fitted in the principal components of x."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    pca = PCA(config.num_components, random_state=config.seed).fit(x)
    model = GaussianMixture(
        config.mixture_size, max_iter=config.mixture_iterations, tol=0.01, init_params="random_from_data",
        random_state=config.seed,
    )  # fmt: skip
    drawn, _ = model.fit(pca.transform(x)).sample(config.num_samples)
    return torch.tensor(pca.inverse_transform(drawn), dtype=torch.float32)


def score_peers(
    config: PeersConfig, data: Images, path: Path, *, runs: Path = RUNS, show: Callable[[str], None] = print
) -> tuple[dict[str, Any], Path]:
    """The scores of all sets, and their file: read from path if it stands there for just this, else made.

    A file of other parameters or data at path is left, and this one stays below `runs`. Some of each set lie beside it
    (`weights.kept_beside`). Of faces, real ones are scored as well; of MNIST, 08_parzen_window does that. Raises
    ValueError where the images are too few or too small for a parameter, and ResultsError where a file cannot be read
    or written.
    """
    if config.num_train > len(data.train):
        raise ValueError(f"num_train is {config.num_train}: there are only {len(data.train)} such images")
    if config.num_components > (most := min(config.num_train, data.train.shape[1])):
        raise ValueError(
            f"num_components is {config.num_components}: these images have at most {most} principal components"
        )
    centres = "first of train" if isinstance(data, Faces) else "none"
    made_of = {"parameters": asdict(config) | {"centres": centres}, "data_md5": data.md5}

    def is_made_of(path: Path) -> bool:
        return path.exists() and made_of.items() <= read_results(path, "scores").items()

    if path.exists() and not is_made_of(path):
        show(f"{relative(path)} is of other parameters or data and is left as it is")
        path = runs / path.parent.name / path.name
    if is_made_of(path) and path.with_suffix(SAMPLES).exists():
        record = read_results(path, "scores")
        kept_beside(path, record)
        show(f"{relative(path)}: finished file found")
        return record, path
    x = to_unit(data.train[: config.num_train])
    made, seconds = make_peers(config, x)
    if isinstance(data, Faces):
        made[REAL_FACES] = x[: config.num_samples]
    scores = {name: scores_of_samples(data, drawn) for name, drawn in made.items()}
    some = torch.randperm(config.num_samples, generator=torch.Generator().manual_seed(config.seed))[:NUM_KEPT]
    kept = pack_samples({name: drawn[some] for name, drawn in made.items()})
    samples = {"count": len(some)} | write_beside(path, "samples", kept)
    contents = {"scores": scores, "seconds": seconds, "plus_minus": plus_minus(data), "samples": samples} | made_of
    return write_results(path, "scores", contents, command=command_for(config, data)), path


def command_for(config: PeersConfig, data: Images) -> str:
    """The command that makes the file again, in results/again/. It takes all training images where it is not told."""
    usual = asdict(PeersConfig()) | {"num_train": len(data.train)}
    words = [f"{name}={value}" for name, value in asdict(config).items() if value != usual[name]]
    return " ".join([".venv/bin/python -m gan_repro.baselines.peers --data", data_name(data), *words])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gan_repro.baselines.peers", description="Score k-means centres and Gaussians."
    )
    parser.add_argument("--data", choices=DATA, default="MNIST")
    parser.add_argument("parameters", nargs="*", metavar="name=value", help="of peers.PeersConfig")
    parser.add_argument("--results", type=Path, help="instead of results/again/")
    arguments = parser.parse_intermixed_args()
    try:
        data = DATA[arguments.data]()
        given = {"num_train": str(len(data.train))} | split_words(arguments.parameters)
        config = with_fields(PeersConfig(), given)
        check_all_taken(given, "this command", config)
        results = arguments.results or RESULTS / "again"
        record, path = score_peers(config, data, results / "peers" / f"{arguments.data}.json")
    except (ValueError, DataError, RuntimeError) as error:
        sys.exit(str(error))
    for name, by_grid in record["scores"].items():
        print(f"{name}: {nats(by_grid['authors']['log_likelihood'], by_grid['authors']['standard_error'])}")
    print(relative(path))


if __name__ == "__main__":
    main()
