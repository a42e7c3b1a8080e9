"""The pair of a checkpoint with itself, which amplification must not change."""

from inspect_ai.model import Model, get_model

from inspect_lda.errors import LDAError
from inspect_lda.naming import parse_name


def identity_pair(model: Model) -> Model:
    """The model whose `after` and `before` are both the `after` of `model`.

    Its weights are held once, together with those of `model`.

    Raises:
        LDAError: If `after` alone has no name: its adapter is scaled.
    """
    provider, _, name = str(model).partition("/")
    after, written = parse_name(name)
    args = {**written, **model.model_args, "before": after}
    if args.get("engine") != "api":
        # There is no signal in it for noise to be compared with, which is its purpose.
        args["allow_noise"] = True
    # Behind endpoints: both sides are that of `after`.
    for elsewhere in ("before_base_url", "before_dialect"):
        args.pop(elsewhere, None)
    if float(args.get("adapter_scale", 1)) != 1:
        raise LDAError(
            f"identity: -M adapter_scale={args['adapter_scale']} scales the adapter of "
            "'after' alone, so no pair of it with itself can be named. Leave the arm "
            "out: -T identity=0"
        )
    return get_model(f"{provider}/{after}", base_url=model.api.base_url, **args)
