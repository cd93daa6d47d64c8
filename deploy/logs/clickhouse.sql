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
    -- Of a line that comes a second time, with the same hash in the same place, one stays.
    hash          UInt64 MATERIALIZED cityHash64(line) CODEC(NONE)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (event, caller, ts, hash)
TTL toDateTime(ts) + INTERVAL 2 YEAR;
