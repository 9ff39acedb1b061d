"""What every test needs: no network, few threads."""

import os

# Before huggingface_hub is imported: an unreachable Hub costs minutes of retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from hypothesis import settings  # after the environment is set

# A busy machine is slow, not wrong. CI takes the same examples each time; everywhere else they are new ones.
settings.register_profile("busy", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("busy")
