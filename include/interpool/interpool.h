// Everything: include this one to begin with.
#pragma once

#include <interpool/attached_thread.h>
#include <interpool/bigint.h>
#include <interpool/buffer.h>
#include <interpool/call_options.h>
#include <interpool/callback.h>
#include <interpool/chrono.h>
#include <interpool/context_vars.h>
#include <interpool/convert.h>
#include <interpool/error.h>
#include <interpool/executor.h>
#include <interpool/fields.h>
#include <interpool/future.h>
#include <interpool/json.h>
#include <interpool/log.h>
#include <interpool/object.h>
#include <interpool/observer.h>
#include <interpool/output.h>
#include <interpool/rest.h>
#include <interpool/result.h>
#include <interpool/runtime.h>
#include <interpool/stats.h>
#include <interpool/value.h>
#include <interpool/version.h>
#include <interpool/when.h>
#include <interpool/worker.h>
