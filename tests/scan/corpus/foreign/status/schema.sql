CREATE TABLE alarms (id bigint PRIMARY KEY, trigger_status text NOT NULL);
SELECT a.trigger_status FROM alarms a WHERE a.trigger_status = 'on';
