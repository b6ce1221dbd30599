"""Train a small GAN on scikit-learn's digits, export it to a bundle, and save a grid of its images.

    pip install 'ganport[export]'
    python examples/train_and_export.py [OUT] [STEPS]

A minute on two CPU cores with the default of 200 steps; 1,500 give readable digits. For images of your own, name a
folder, a .zip or an .npz in place of "digits".
"""

import sys
from pathlib import Path

from ganport_export import export_run
from ganport_runtime import Generator
from ganport_train.config import preset
from ganport_train.grid import grid
from ganport_train.trainer import train


def main(out: Path, steps: int) -> None:
    """Leave `run/`, `digits.ganport/` and `digits.png` in the folder `out`."""
    run, bundle = out / "run", out / "digits.ganport"

    # Every setting is a field of TrainingConfig; the others have the preset's values.
    config = preset("rpgan", "digits", resolution=16, width=8, steps=steps)
    result = train(config, run, resume=(run / "config.json").exists())  # a second call goes on from the last checkpoint
    print(f"trained to step {result.step}; best checkpoint: {result.best}, {dict(result.scores)}")

    # Each graph is compared with the network first. An fp32 graph that differs is an error; others are left out.
    manifest = export_run(run, bundle, forms=("deconv", "fused"), precisions=("fp32", "int8"), overwrite=True)
    print("variants:", ", ".join(variant.id for variant in manifest.variants))

    # From here on PyTorch is not needed.
    with Generator.open(bundle) as generator:
        print("plan:", generator.plan)
        grid(generator.sample(64, seed=7), gap=1).save(out / "digits.png")
    print(f"images: {out / 'digits.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
