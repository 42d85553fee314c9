"""Parents that were trained on ImageNet: only their last layer is fitted, in closed form."""

import dataclasses
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from experiments import pretrained
from experiments.modules import over_pictures
from experiments.tempering import temperature
from jaxevo import checkpoint, graph
from jaxevo.data import Dataset
from jaxevo.network import Network, batched

#: Examples that features are computed of at a time.
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A parent with ImageNet weights, whose last layer is fitted to the data in closed form.

    pretrained: one of `experiments.pretrained.NAMES`.
    """

    pretrained: str


def probed(settings: Pretrained, dataset: Dataset, folder: pathlib.Path) -> Network:
    """Takes in a trained network and gives it a linear layer for the classes of a data set.

    The layer is linear discriminant analysis with shrinkage (Ledoit and Wolf 2004, "Honey, I shrunk the sample
    covariance matrix"): a closed form whose outputs are logits. With as many features as examples it is far too sure,
    so that the surer network would decide a vote alone; logits are therefore divided by the temperature of Guo et al.
    2017, "On calibration of modern neural networks", found on examples that the layer was not fitted to.

    Args:
      settings: which network.
      dataset: fitted on train, pictures [N, height, width, 3] with mean 0 and standard deviation 1.
      folder: where the layer lies, or will.

    Returns:
      A network over the data set's pictures, parameters {"backbone": ..., "head": {"kernel": [C, classes], "bias":
      [classes]}}.
    """
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
    if counts.min() < 2:
        raise ValueError(
            f"probed: class {dataset.classes[counts.argmin()]!r} has {counts.min()} examples in train, expected at "
            "least 2; add some, or leave the class out"
        )
    name = settings.pretrained
    shape = dataset.train.inputs.shape[1:]
    module = pretrained.backbone(name, shape[:2])
    backbone = over_pictures(module, shape, name, spread=pretrained.SPREAD, output="values")

    def apply(params, inputs):
        return backbone.apply(params["backbone"], inputs) @ params["head"]["kernel"] + params["head"]["bias"]

    if folder.exists():
        count = jax.eval_shape(backbone.apply, backbone.params, batched(backbone.inputs, 1)).shape[-1]
        like = {"kernel": jnp.zeros((count, len(dataset.classes))), "bias": jnp.zeros(len(dataset.classes))}
        head, _ = checkpoint.read(folder, like)
    else:
        run = graph.accelerate(backbone)
        parts = np.split(dataset.train.inputs, range(_BATCH, len(dataset.train), _BATCH))
        head = _discriminant(np.concatenate([run(part) for part in parts]), dataset.train.labels)
        checkpoint.write(folder, head, {})
    return Network(apply, {"backbone": backbone.params, "head": head}, backbone.inputs, name, classes=dataset.classes)


def _discriminant(features: np.ndarray, labels: np.ndarray) -> dict[str, jax.Array]:
    """Returns the layer; its logits are divided by the temperature of least loss in five-fold cross-validation."""
    analysis = importlib.import_module("sklearn.discriminant_analysis")
    selection = importlib.import_module("sklearn.model_selection")
    model = analysis.LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    spoken = selection.cross_val_predict(
        model, features, labels, cv=min(5, int(np.bincount(labels).min())), method="decision_function"
    )
    found = model.fit(features, labels)
    kernel, bias = found.coef_.T, found.intercept_
    if spoken.ndim == 1:
        # Of two classes, scikit-learn gives the second's logit less the first's.
        spoken = np.stack([-spoken, spoken], 1) / 2
        kernel, bias = np.hstack([-kernel, kernel]) / 2, np.r_[-bias, bias] / 2
    sure = temperature(spoken, labels)
    return {"kernel": jnp.asarray(kernel / sure, jnp.float32), "bias": jnp.asarray(bias / sure, jnp.float32)}
