"""What vLLM calls in every process it starts (`vllm.general_plugins`)."""

import logging

from inspect_lda.checkpoints.block import ARCHITECTURE
from inspect_lda.errors import LDAError

logger = logging.getLogger(__name__)

_MODEL = "inspect_lda.engines.vllm.model:LDAForCausalLM"


def register() -> None:
    """Make pair directories known to vLLM; harmless to call again.

    It never raises, because vLLM calls it whatever model is served: on an unsupported
    version, importing the model class does, which only a pair directory leads to.
    """
    import vllm

    from inspect_lda.engines.vllm.versions import check_version

    # By name: the class must not be imported here, it would initialise CUDA.
    vllm.ModelRegistry.register_model(ARCHITECTURE, _MODEL)
    try:
        check_version(vllm.__version__)
    except LDAError as error:
        logger.error("inspect_lda: pair directories cannot be served. %s", error)
        return
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP

    from inspect_lda.engines.vllm import runner_v1
    from inspect_lda.engines.vllm.config import PairConfig

    MODELS_CONFIG_MAP[ARCHITECTURE] = PairConfig
    # Workers run this function but never the hook above: what loads the pair must be
    # known to them all the same.
    from inspect_lda.engines.vllm import loader  # noqa: F401

    runner_v1.install()
