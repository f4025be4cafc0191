import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def test_what_takes_long_and_nobody_needs_is_not_imported_with_the_app():
    program = (
        "import sys\n"
        "from app.quick_start import quick_imports\n"
        "with quick_imports():\n"
        "    import app.server\n"
        "names = 'torch._dynamo torch._inductor sympy sklearn umap captum optuna tensorboard faiss '\n"
        "names += 'scipy.stats scipy.cluster scipy.ndimage matplotlib pytorch_metric_learning'\n"
        "print(*[name for name in names.split() if name in sys.modules])\n"
    )
    assert run(program) == []


def test_what_was_left_out_is_there_for_whoever_needs_it():
    program = (
        "from app.quick_start import quick_imports\n"
        "with quick_imports():\n"
        "    import torch, torchvision.ops, gradio\n"
        "boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0]])\n"
        "print(*torchvision.ops.roi_align(torch.ones(1, 1, 4, 4), [boxes], 1).shape)\n"
        "import torch._dynamo.utils\n"
        "print(torch._dynamo.utils.is_compile_supported('cpu') in (True, False))\n"
        "print(gradio.Textbox(label='x').label)\n"
    )
    assert run(program) == ["1", "1", "1", "1", "True", "x"]
