-- ClickHouse keeps the caller log: each line as it was written, and beside it the columns that queries need.
--   clickhouse-client --queries-file clickhouse.sql
CREATE DATABASE IF NOT EXISTS trigger_shim;

-- Columns are made from the line when it is inserted, whoever inserts it. None of them can fail: what is no record
-- has no event and the time 0, and so the next merge removes it.
CREATE TABLE IF NOT EXISTS trigger_shim.log
(
    line          String CODEC(ZSTD(3)),
    event         LowCardinality(String) MATERIALIZED JSONExtractString(line, 'event'),
    ts            DateTime64(6, 'UTC')
                  MATERIALIZED parseDateTime64BestEffortOrZero(JSONExtractString(line, 'ts'), 6, 'UTC')
                  CODEC(DoubleDelta, ZSTD(1)),
    caller        String MATERIALIZED JSONExtractString(line, 'caller') CODEC(ZSTD(1)),
    caller_source LowCardinality(String) MATERIALIZED JSONExtractString(line, 'caller_source'),
    owner         LowCardinality(String) MATERIALIZED JSONExtractString(line, 'owner'),
    run_user      LowCardinality(Nullable(String)) MATERIALIZED JSONExtract(line, 'run_user', 'Nullable(String)'),
    endpoint      LowCardinality(String) MATERIALIZED JSONExtractString(line, 'endpoint'),
    outcome       LowCardinality(String) MATERIALIZED JSONExtractString(line, 'outcome'),
    status        UInt16 MATERIALIZED JSONExtractUInt(line, 'status'),
    -- Of a line that comes a second time, with the same hash in the same place, one stays.
    hash          UInt64 MATERIALIZED cityHash64(line) CODEC(NONE)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (event, caller, ts, hash)
TTL toDateTime(ts) + INTERVAL 2 YEAR;

-- When the log was being kept, up to a time, by the rules of proxy/callers/report/coverage.py.
CREATE OR REPLACE VIEW trigger_shim.coverage AS
WITH
    beats AS
    (
        SELECT
            ts,
            JSONExtractString(line, 'at') AS at,
            addMicroseconds(ts, toInt64(JSONExtractFloat(line, 'interval') * 1.5e6) + 60000000) AS due,
            leadInFrame(toNullable(ts)) OVER life AS next,
            leadInFrame(at) OVER life AS next_at
        FROM trigger_shim.log FINAL
        WHERE event = 'heartbeat'
        WINDOW life AS (
            PARTITION BY JSONExtractString(line, 'instance') ORDER BY ts
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ),
    -- From one heartbeat of a process to its next, in time or late; from the last one on, while the next is not due.
    spans AS
    (
        SELECT ts AS begin, assumeNotNull(next) AS end, next <= due AS is_kept
        FROM beats
        WHERE next IS NOT NULL AND next_at != 'start'
        UNION ALL
        SELECT ts, {until:DateTime64(6, 'UTC')}, true
        FROM beats
        WHERE next IS NULL AND at != 'stop'
            AND ts < {until:DateTime64(6, 'UTC')} AND due >= {until:DateTime64(6, 'UTC')}
    ),
    -- Where a span begins or ends: how many processes keep the log from then on, and of how many it is missing.
    edges AS
    (
        SELECT begin AS ts, if(is_kept, 1, 0) AS keeping, if(is_kept, 0, 1) AS missing FROM spans
        UNION ALL
        SELECT end, if(is_kept, -1, 0), if(is_kept, 0, -1) FROM spans
    ),
    moments AS
    (
        SELECT ts, sum(sum(keeping)) OVER (ORDER BY ts) > 0 AND sum(sum(missing)) OVER (ORDER BY ts) = 0 AS is_kept
        FROM edges
        GROUP BY ts
    ),
    compared AS
    (
        SELECT ts, is_kept, lagInFrame(is_kept) OVER (ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS was_kept
        FROM moments
    )
SELECT since, least(upto, {until:DateTime64(6, 'UTC')}) AS until
FROM
(
    SELECT ts AS since, is_kept, leadInFrame(ts) OVER (ORDER BY ts ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS upto
    FROM compared
    WHERE is_kept != was_kept
)
WHERE is_kept AND since < {until:DateTime64(6, 'UTC')}
ORDER BY since;

-- The rows of `trigger-shim callers`, by the rules of proxy/callers/report/rows.py and rhythm.py. Times in seconds.
CREATE OR REPLACE VIEW trigger_shim.callers AS
WITH
    -- Calls under another name, or without a token that the service once accepted, are those of strangers.
    proven AS
    (
        SELECT DISTINCT caller, JSONExtractString(line, 'token') AS token
        FROM trigger_shim.log
        WHERE event = 'deprecated_call' AND status < 400 AND token != ''
    ),
    hourly AS
    (
        SELECT
            caller,
            toUInt32(intDiv(toUnixTimestamp(ts), 3600)) AS hour,
            count() AS number,
            countIf(status >= 400) AS failed,
            min(ts) AS first,
            max(ts) AS last,
            argMin(caller_source, ts) AS first_source,
            argMinIf(owner, ts, owner != '') AS first_owner,
            argMax(run_user, ts) AS last_user,
            maxIf(ts, run_user IS NOT NULL) AS last_with_user
        FROM trigger_shim.log FINAL
        WHERE event = 'deprecated_call' AND ts < {until:DateTime64(6, 'UTC')}
            AND ts >= ifNull({since:Nullable(DateTime64(6, 'UTC'))}, toDateTime64(0, 6, 'UTC'))
            AND (caller_source = 'known' OR (caller, JSONExtractString(line, 'token')) IN (SELECT * FROM proven))
        GROUP BY caller, hour
    ),
    tallies AS
    (
        SELECT
            caller AS name,
            argMin(first_source, first) AS source,
            nullIf(argMinIf(first_owner, first, first_owner != ''), '') AS owner,
            argMax(last_user, last_with_user) AS user,
            sum(number) AS calls,
            sum(failed) / calls AS errors,
            min(first) AS first_seen,
            max(last) AS last_seen,
            sumMap(map(toUInt32(intDiv(hour, 24)), number)) AS days,
            arraySort(groupArray(hour)) AS hours,
            arrayPopFront(arrayDifference(hours)) AS gaps,
            arrayReduce('quantileExactInclusive(0.5)', gaps) * 3600 AS gap,
            -- Everybody may be silent for a weekend and a day.
            greatest(3 * 86400, 3600 * arrayMax(arrayPushBack(gaps, 0))) AS pause,
            greatest(3 * pause, if(length(days) >= 4, 14, 62) * 86400) AS retired_after
        FROM hourly
        GROUP BY name
    ),
    (SELECT groupArray((since, until)) FROM trigger_shim.coverage(until = {until:DateTime64(6, 'UTC')})) AS kept,
    (
        SELECT toUInt32(intDiv(toUnixTimestamp(ifNull({since:Nullable(DateTime64(6, 'UTC'))}, min(ts))), 86400))
        FROM trigger_shim.log
        WHERE event != ''
    ) AS first_day,
    toUInt32(intDiv(toUnixTimestamp({until:DateTime64(6, 'UTC')}), 86400)) AS last_day
SELECT
    if(name = '', '(none)', name) AS caller,
    source,
    owner,
    user,
    calls,
    arrayMap(day -> days[day], range(first_day, last_day + 1)) AS by_day,
    first_seen,
    last_seen,
    multiIf(empty(gaps), NULL, gap = 3600, 3600 * length(hours) / calls, gap) AS interval,
    pause,
    round(errors, 4) AS error_share,
    -- Only silence that the log proves counts.
    arraySum(span -> greatest(0, dateDiff('microsecond', greatest(span.1, last_seen), span.2)), kept) / 1e6 AS silence,
    multiIf(
        silence <= pause, 'active', silence <= 2 * pause, 'fading', silence <= retired_after, 'quiet', 'retired'
    ) AS state,
    if(
        state = 'retired',
        NULL,
        addMicroseconds({until:DateTime64(6, 'UTC')}, toInt64(round((retired_after - silence) * 1e6)))
    ) AS retired_at
FROM tallies
ORDER BY indexOf(['active', 'fading', 'quiet', 'retired'], state), calls DESC, caller;
