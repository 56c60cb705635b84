-- What readers use, in both stores alike.
--
-- `fact_once`: every fact once. A log that took the place of another one (`log_salvaged`) begins with copies of facts
-- of the old one, with their times and words; a copy counts where the old fact never arrived.
CREATE VIEW fact_once AS
WITH RECURSIVE line (log, ancestor) AS (
    SELECT new.id, old.id FROM log AS new JOIN log AS old ON old.node = new.node AND old.log_id = new.old_log_id
    UNION
    SELECT line.log, old.id FROM line
    JOIN log AS middle ON middle.id = line.ancestor
    JOIN log AS old ON old.node = middle.node AND old.log_id = middle.old_log_id
)
SELECT log.node, log.log_id, fact.* FROM fact JOIN log ON log.id = fact.log
WHERE NOT (
    fact.seq BETWEEN 2 AND log.carried + 1
    AND EXISTS (
        SELECT 1 FROM line JOIN fact AS old ON old.log = line.ancestor
        WHERE line.log = fact.log AND line.ancestor <> fact.log
        AND old.wall_ms = fact.wall_ms AND old.boottime_ms = fact.boottime_ms AND old.boot = fact.boot
        AND old.kind = fact.kind AND old.session IS NOT DISTINCT FROM fact.session AND old.body = fact.body
    )
);
