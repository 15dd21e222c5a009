"""The methods, one short class each: formula and paper in its docstring.

`METHODS` maps the names that `explain` and `--method` take to the classes. A class's fields are its
options: `explain(model, clip, method="rise", masks=2000)`.
"""

from .activation import CAM, AblationCAM, EigenCAM, ScoreCAM
from .base import ForwardContext, Maps, Method
from .gradient import GradCAM, GradCAMPerStep, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from .input_gradient import Deconvolution, GuidedGradient, IntegratedGradients
from .perturbation import RISE, Occlusion, TemporalMask
from .priors import CentrePrior, Random

METHODS: dict[str, type[Method]] = {
    "gradcam": GradCAM,
    "gradcam-per-step": GradCAMPerStep,
    "cam": CAM,
    "gradcam++": GradCAMPlusPlus,
    "hirescam": HiResCAM,
    "xgradcam": XGradCAM,
    "layercam": LayerCAM,
    "scorecam": ScoreCAM,
    "ablationcam": AblationCAM,
    "eigencam": EigenCAM,
    "occlusion": Occlusion,
    "guided-gradient": GuidedGradient,
    "deconvolution": Deconvolution,
    "rise": RISE,
    "integrated-gradients": IntegratedGradients,
    "temporal-mask": TemporalMask,
    "random": Random,
    "centre": CentrePrior,
}
"""Every method by the name that `explain(method=…)` and `--method` take."""

__all__ = ["METHODS", "ForwardContext", "Maps", "Method"]
