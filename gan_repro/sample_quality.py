"""How far samples are from real images in the features of a classifier: FID, KID, precision and recall.

The four are computed by torch-fidelity; only the features are ours, those of a small net trained on the same digits
(`digit_classifier`), where the literature has a large one trained on photographs. Numbers made with other features
cannot be compared with these.
"""

from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

SUBSET = 1000  # of both sets at most, in each of the comparisons that KID is the mean of


def sample_quality(samples: Tensor, real: Tensor) -> dict[str, float]:
    """Comparisons of features of samples, (m, d), with features of real images, (n, d).

    All features are divided by the root mean square of the real ones first, so that no unit is in the numbers.
    FID (Heusel et al., 2017): squared Fréchet distance of the two Gaussians with the features' means and covariances,
    0 where these agree; few samples raise it. KID (Bińkowski et al., 2018): squared maximum mean discrepancy with a
    cubic kernel, unbiased, so about 0, and sometimes below, where the sets have one distribution;
    KID_spread: its standard deviation over subsets of the images, KID being the mean. Precision
    (Kynkäänniemi et al., 2019): the share of samples that lie no further from some real image than its third nearest
    real one; recall: the same with the sets exchanged. Raises ValueError where a set has fewer than 10 rows.
    """
    if min(len(samples), len(real)) < 10:
        raise ValueError(f"{len(samples)} samples and {len(real)} real images: each set needs at least 10")
    unit = real.double().square().mean().sqrt()
    samples, real = samples.double() / unit, real.double() / unit
    statistics = [fid_features_to_statistics(features) for features in (samples, real)]
    size = min(SUBSET, len(samples), len(real))
    kid = kid_features_to_metric(samples, real, kid_subset_size=size, verbose=False)
    neighbours = prc_features_to_metric(samples.float(), real.float(), verbose=False)
    return {
        "FID": fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID],
        "KID": kid[KEY_METRIC_KID_MEAN],
        "KID_spread": kid[KEY_METRIC_KID_STD],
        "precision": neighbours[KEY_METRIC_PRECISION],
        "recall": neighbours[KEY_METRIC_RECALL],
    }
