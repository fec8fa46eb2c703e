// Memory for tasks.
#pragma once

// The functions are declared where tasks are, in interpool/detail/task.h:
//
//   void* allocate_task(std::size_t size);
//   void free_task(void* memory, std::size_t size) noexcept;
//
// Tasks are made by one thread and mostly freed by another, hundreds of thousands in flight. malloc takes
// half of the instructions of a submission then, and gives pages back to the system only to fault them in
// again. So each thread keeps a few cells of whole cache lines, and threads hand them on in batches. What
// has been cells stays so: memory is bounded by the most tasks that ever existed at a time. Large tasks,
// and builds for memory checkers, use the heap.
#include "interpool/detail/task.h"
