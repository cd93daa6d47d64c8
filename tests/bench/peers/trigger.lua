-- What wrk sends, and the figures that it finds, as one line of JSON.
wrk.method = "POST"
wrk.path = "@PATH@"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "@AUTHORIZATION@"
wrk.headers["User-Agent"] = "legacy-ci/1.0"
wrk.body = [[@BODY@]]

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\n{"calls": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
