"""Where it was imported."""

import interpool

where = [interpool.worker_id(), interpool.task_name()]
