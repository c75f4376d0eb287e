SELECT 1
SELECT 1 + 1, 2 - 1, -1, +1, - - 1, -a, -(-1), 1 - -1, a - -1 FROM t
SELECT a = -1, a != -1, a <=> -1, a < -1, a >= -1, a + -1, a * -1, a / -1, a % -1, a & -1, a | -1, a ^ -1, a << -1, a >> -1 FROM t
SELECT a DIV -1, a MOD -1, a XOR -1, a OR -1, a AND -1, a || -1, a && -1, NOT -1, ! -1, ~ -1 FROM t
SELECT a FROM t WHERE a BETWEEN -1 AND -2 OR a LIKE -1 OR a IN (-1) OR a IN (-1, +2, -3.5e-7) OR a REGEXP -1
SELECT CASE WHEN -1 THEN -1 ELSE -1 END, CASE -1 WHEN -2 THEN 0 END, IF(-1, -2, -3), f(-1, a), g(a, -1)
SELECT NULL, a, NULL, NULL, 1, NULL FROM t
SELECT a FROM t WHERE a IS NULL AND b IS NOT NULL AND c = NULL AND d <> NULL AND e IN (NULL, 1) AND f IN (1, NULL) AND g IN (NULL)
SELECT a FROM t WHERE a <=> NULL OR (a, b) = (1, NULL) OR COALESCE(a, NULL, 1) = 2 OR NOT NULL
SELECT IF(a IS NULL, NULL, a), NULLIF(a, NULL), IFNULL(NULL, NULL), CASE a WHEN NULL THEN NULL ELSE NULL END FROM t
SELECT 'a' 'b', 'it''s', "it""s", 'it\'s', "say \"hi\"", '', "", '\\', '\\\\', 'a\\''b'
SELECT N'abc', n'abc', _utf8mb4'abc', _latin1 'abc', _binary'abc', _utf8mb4 0x41, 'a' COLLATE utf8mb4_bin, _utf8mb4'a' COLLATE utf8mb4_unicode_ci
SELECT 0x41, 0b101, b'101', B'101', 1e5, 1E5, 1e+5, 1e-5, 1., .5, 1.5, 1.5e3, .5e-3, 1.e3, 00012, 18446744073709551615, 9223372036854775808, 4294967296
SELECT x'41', X'4142', 0x
SELECT 0X41, 0xZZ, 0b12, 1a, 1ea, 1e, a1, $a, a$b, _x, __, é, 日本語, t.1a, t.1, t.select, t.5e FROM t
SELECT `a``b`, `a b`, `select`, `é`, `"`, `'`, ```` FROM `my table`
SELECT t . a, t .a, t. a, t . status, t .status, db.t.a, db . t . a FROM db . t
SELECT @a, @a.b, @`a`, @'a', @"a", @a := 1, @a:=@a+1, @$x, @_y, @1
SELECT @@version, @@global.max_connections, @@session.sql_mode, @@local.autocommit, @@`version`
SELECT a /* comment 'secret' */ , b /* multi * / ** */ FROM t -- trailing secret
SELECT a FROM t # trailing 'secret'
SELECT 1 --2, 3--4, 5 - -6
SELECT /*+ NO_INDEX_MERGE(t) */ a FROM t
SELECT /*! STRAIGHT_JOIN */ a FROM t /*!50001 WHERE a = 1 */ /*!99999 AND b = 'secret' */ /*M! LIMIT 1 */
SELECT /*!50700 a, */ /*!100100 b, */ /*!50699 c, */ d /* /* e */ FROM t
SELECT /*!40001 SQL_NO_CACHE */ * FROM `t`
/* leading comment */ SELECT 1
/* ApplicationName=DBeaver */ /* two */ SELECT a FROM t
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */
/*!40000 ALTER TABLE `t` DISABLE KEYS */
SELECT count(*), COUNT(DISTINCT a, b), sum(a), group_concat(DISTINCT a ORDER BY b DESC SEPARATOR ', '), max(a), min(a), std(a), stddev(a), variance(a), bit_and(a) FROM t
SELECT now(), curdate(), curtime(), current_date, current_time, current_timestamp, current_timestamp(6), localtime, localtimestamp(), sysdate(), utc_date(), utc_time, unix_timestamp()
SELECT user(), current_user(), current_user, session_user(), system_user(), database(), schema(), version(), connection_id(), last_insert_id(), row_count(), found_rows()
SELECT left(a, 1), right(a, 2), substr(a, 1, 2), substring(a, 1), substring(a from 2 for 3), mid(a, 1, 2), trim(a), trim(both 'x' from a), trim(leading from a), replace(a, 'b', 'c'), insert(a, 1, 2, 'x'), repeat('x', 3), char(65, 66 using utf8mb4) FROM t
SELECT position('a' in b), locate('a', b), concat(a, 'b', c), concat_ws(',', a, b), format(a, 2), lpad(a, 5, '0'), hex(a), unhex('41'), md5(a), sha2(a, 256), elt(1, a), field(a, 'b', 'c') FROM t
SELECT date_add(a, interval 1 day), date_sub(a, interval '1 2' day_hour), adddate(a, 1), subdate(a, interval -1 month), a + interval 1 year, interval 1 week + a, a - interval 2 quarter, timestampadd(second, 1, a), timestampdiff(minute, a, b) FROM t
SELECT extract(year from a), extract(day_minute from a), year(a), month(a), day(a), hour(a), minute(a), second(a), week(a), quarter(a), microsecond(a), date(a), time(a), timestamp(a), weekday(a), date_format(a, '%Y-%m'), str_to_date('2024', '%Y'), last_day(a), get_format(date, 'EUR') FROM t
SELECT DATE '2024-01-01', TIME '10:00:00', TIMESTAMP '2024-01-01 10:00:00', DATE'2024-01-01', {d '2024-01-01'}, {t '10:00:00'}, {ts '2024-01-01 00:00:00'}
SELECT CAST(a AS CHAR), CAST(a AS CHAR(10) CHARACTER SET utf8mb4), CAST(a AS UNSIGNED), CAST(a AS SIGNED INTEGER), CAST(a AS DECIMAL(10,2)), CAST(a AS DATETIME(6)), CAST(a AS BINARY(16)), CONVERT(a, CHAR), CONVERT(a USING latin1), BINARY a FROM t
SELECT a COLLATE utf8mb4_bin, a SOUNDS LIKE 'b', a RLIKE '^x', a NOT REGEXP 'y', a NOT LIKE 'z%' ESCAPE '!', a IS TRUE, a IS NOT FALSE, a IS UNKNOWN, a MEMBER, a IN (SELECT b FROM u) FROM t
SELECT MATCH(a, b) AGAINST('+x -y' IN BOOLEAN MODE), MATCH(a) AGAINST ('z' IN NATURAL LANGUAGE MODE), MATCH (a) AGAINST ('q' WITH QUERY EXPANSION) FROM t
SELECT json_extract(a, '$.x'), json_unquote(json_extract(a, '$.y[0]')), json_object('k', 1, 'v', NULL), json_array(1, 'a', NULL), json_contains(a, '1', '$.z'), json_set(a, '$.b', 2), json_arrayagg(a), json_objectagg(a, b), json_value(a, '$.c'), json_query(a, '$.d') FROM t
SELECT jt.id, jt.name FROM t, JSON_TABLE(t.doc, '$[*]' COLUMNS (rowid FOR ORDINALITY, id INT PATH '$.id' DEFAULT '0' ON EMPTY, name VARCHAR(50) PATH '$.name' NULL ON ERROR, NESTED PATH '$.x[*]' COLUMNS (x INT EXISTS PATH '$.y'))) AS jt
SELECT ROW_NUMBER() OVER w, RANK() OVER (ORDER BY a DESC), DENSE_RANK() OVER (PARTITION BY a ORDER BY b), LAG(a, 1) OVER w, LEAD(a) OVER w, NTILE(4) OVER w, FIRST_VALUE(a) OVER w, NTH_VALUE(a, 2) OVER w, CUME_DIST() OVER w, PERCENT_RANK() OVER w FROM t WINDOW w AS (PARTITION BY c ORDER BY d ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
SELECT SUM(a) OVER (ORDER BY b RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING), PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY a) OVER (PARTITION BY b), MEDIAN(a) OVER (PARTITION BY b) FROM t
SELECT a, COUNT(*) FROM t GROUP BY a, b WITH ROLLUP HAVING COUNT(*) > 5 ORDER BY 2 DESC, a ASC LIMIT 10 OFFSET 20
SELECT a FROM t ORDER BY a LIMIT 5, 10
SELECT a FROM t LIMIT 10 ROWS EXAMINED 1000
SELECT a FROM t ORDER BY a OFFSET 5 ROWS FETCH NEXT 10 ROWS ONLY
SELECT ALL a FROM t UNION SELECT b FROM u UNION ALL SELECT c FROM v EXCEPT SELECT d FROM w INTERSECT SELECT e FROM x ORDER BY 1
(SELECT a FROM t ORDER BY a LIMIT 1) UNION ALL (SELECT b FROM u ORDER BY b LIMIT 1) LIMIT 1
SELECT DISTINCT SQL_BUFFER_RESULT SQL_SMALL_RESULT HIGH_PRIORITY a FROM t
SELECT STRAIGHT_JOIN a FROM t STRAIGHT_JOIN u ON t.id = u.id
SELECT a FROM t JOIN u USING (id) INNER JOIN v ON v.id = u.id LEFT JOIN w USING (id, x) RIGHT OUTER JOIN x ON x.id = 1 NATURAL JOIN y NATURAL LEFT JOIN z CROSS JOIN q
SELECT a FROM (t, u) JOIN (v CROSS JOIN w) ON t.id = v.id, x AS y, db.z
SELECT a FROM t USE INDEX (i, j) IGNORE INDEX FOR ORDER BY (k) FORCE INDEX FOR JOIN (PRIMARY) WHERE a = 1
SELECT a FROM t PARTITION (p0, p1) AS x WHERE a = 1
SELECT a FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01 00:00:00' WHERE a = 1
SELECT a FROM t FOR SYSTEM_TIME BETWEEN '2024-01-01' AND NOW()
SELECT a FROM t WHERE a = 1 LOCK IN SHARE MODE
SELECT a FROM t WHERE a = 1 FOR UPDATE NOWAIT
SELECT a FROM t WHERE a = 1 FOR UPDATE SKIP LOCKED
SELECT a INTO @x FROM t WHERE a = 1
SELECT a, b INTO @x, @y FROM t LIMIT 1
SELECT a FROM t INTO OUTFILE '/tmp/x' FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' LINES TERMINATED BY '\n'
SELECT a FROM t WHERE id = 1 INTO DUMPFILE '/tmp/y'
SELECT a FROM (SELECT b FROM (SELECT c FROM t WHERE d = 1) x) y WHERE a IN (SELECT e FROM u) AND EXISTS (SELECT 1 FROM v WHERE v.id = y.id) AND f > ALL (SELECT g FROM w) AND h = ANY (SELECT i FROM x1)
SELECT (SELECT MAX(a) FROM t) AS m, (SELECT COUNT(*) FROM u WHERE u.x = 'y') AS n FROM DUAL
SELECT 1 FROM DUAL WHERE 1 = 0
WITH RECURSIVE cte (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM cte WHERE n < 10) SELECT n FROM cte
WITH a AS (SELECT * FROM t WHERE x = 1), b AS (SELECT a.y, u.z FROM a JOIN u ON a.id = u.id) SELECT * FROM b WHERE y = 'z'
WITH RECURSIVE tree AS (SELECT id, parent_id, 0 AS depth FROM categories WHERE parent_id IS NULL UNION ALL SELECT c.id, c.parent_id, t.depth + 1 FROM categories c INNER JOIN tree t ON t.id = c.parent_id) SELECT * FROM tree ORDER BY depth
INSERT INTO t WITH c AS (SELECT a FROM u) SELECT a FROM c
SELECT * FROM (WITH c AS (SELECT a FROM u WHERE b = 3) SELECT a FROM c) d
VALUES (1, 2), (3, 4)
VALUES (1), (2), (3)
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v
INSERT INTO t VALUES (1)
INSERT INTO t VALUES (1), (2), (3)
INSERT INTO t VALUES (1, 'a', NULL)
INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL)
INSERT INTO t VALUES (NULL, 'a'), (NULL, 'b'), (-1, 'c')
INSERT INTO t VALUES (DEFAULT, 'a'), (DEFAULT, 'b')
INSERT INTO t VALUES (NOW(), 1), (NOW(), 2)
INSERT INTO t VALUES ()
INSERT INTO t VALUES (), ()
INSERT INTO t () VALUES (), (), ()
INSERT INTO t (a) VALUES (1), (2), (3, 4), (5, 6), (7), (8)
INSERT INTO t (a, b) VALUES ((1), (2)), ((3), (4))
INSERT INTO t (a, b) VALUES (1, (SELECT MAX(x) FROM u)), (2, 3)
INSERT LOW_PRIORITY IGNORE INTO db.t (a) VALUE (1)
INSERT DELAYED t SET a = 1, b = 'x', c = DEFAULT, d = NULL, e = -1
INSERT INTO t (a, b) SELECT a, b FROM u WHERE c = 1 ON DUPLICATE KEY UPDATE a = VALUES(a) + 1, b = VALUE(b)
INSERT INTO t (a) VALUES (1) RETURNING id, a + 1
INSERT INTO t PARTITION (p0) (a) VALUES (1)
INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = 7
REPLACE INTO t (a, b) VALUES (1, 'x')
REPLACE t SET a = 1
REPLACE LOW_PRIORITY INTO db.t SELECT * FROM u
UPDATE t SET a = 1, b = NULL, c = DEFAULT, d = d + 1, e = -1, f = 'x' WHERE id = 1 ORDER BY a LIMIT 5
UPDATE LOW_PRIORITY IGNORE t SET a = 1
UPDATE t, u SET t.a = u.b WHERE t.id = u.id AND u.c = 'x'
UPDATE t LEFT JOIN u ON t.id = u.id SET t.a = 1, u.b = NULL WHERE u.c IS NULL
UPDATE db.t AS x SET x.a = (SELECT MAX(b) FROM u WHERE u.id = x.id)
UPDATE t FOR PORTION OF p FROM '2024-01-01' TO '2025-01-01' SET a = 1
DELETE FROM t
DELETE LOW_PRIORITY QUICK IGNORE FROM t WHERE id = 1 ORDER BY a LIMIT 1
DELETE t FROM t JOIN u ON t.id = u.id WHERE u.a = 1
DELETE t, u FROM t INNER JOIN u INNER JOIN v WHERE t.id = u.id AND u.id = v.id
DELETE FROM t, u USING t INNER JOIN u INNER JOIN v WHERE t.id = u.id AND u.id = v.id
DELETE FROM a USING db.t AS a WHERE a.x = 'y'
DELETE FROM t WHERE a = 1 RETURNING id
DELETE HISTORY FROM t BEFORE SYSTEM_TIME '2024-01-01 00:00:00'
TRUNCATE t
TRUNCATE TABLE db.t
LOAD DATA INFILE '/tmp/secret.csv' INTO TABLE t FIELDS TERMINATED BY ',' ENCLOSED BY '"' LINES TERMINATED BY '\r\n' IGNORE 1 LINES (a, b, @c) SET d = @c * 2, e = NOW()
LOAD DATA LOW_PRIORITY LOCAL INFILE 'x' REPLACE INTO TABLE db.t CHARACTER SET utf8mb4 (a)
LOAD XML INFILE 'x.xml' INTO TABLE t ROWS IDENTIFIED BY '<row>'
CALL p()
CALL db.p(1, 'x', @out)
DO SLEEP(0)
DO RELEASE_LOCK('a'), 1
HANDLER t OPEN AS h
HANDLER t READ FIRST
HANDLER t READ i = (1, 'x') WHERE a > 1 LIMIT 2
HANDLER t CLOSE
SELECT status, type, name, value, user, password, date, time, timestamp, year, month, day, hour, comment, action, level, data, text, json, uuid, role, end, begin, start, count, offset_, rank_ FROM event WHERE status = 'x' AND user = 'y'
SELECT t.user, t.password, t.key, t.order, t.count, t.date FROM t
SELECT a AS status, b AS 'quoted', c AS "dquoted", d name, e `first name` FROM comment AS action
SELECT count, sum, max, min, now, curdate, substr, date_add, trim, count AS count FROM t
SELECT a FROM user JOIN role ON user.id = role.user_id
SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4)) AND c IN ((1), (2)) AND (d, e) > (1, 2)
SELECT a FROM t WHERE ((a = 1)) AND (((2)))
SELECT a FROM t WHERE a IN (1) OR a IN (1, 2) OR a IN ('x', 'y', b) OR a IN (b, 1, 2) OR a IN (1, b)
SELECT f(), f(1), f(1, 2), f((1)), f((1, 2)), f(a, 1), f(1, a), f(1, 2, a, 3, 4) FROM t
SELECT a FROM t PROCEDURE ANALYSE(10, 2000)
SELECT NEXT VALUE FOR s, PREVIOUS VALUE FOR s, NEXTVAL(s), LASTVAL(s), SETVAL(s, 100)
SELECT TRUE, FALSE, NOT TRUE, a IS NOT TRUE, \N
SELECT INTERVAL(5, 1, 10), INTERVAL(a, 1), COALESCE(a), IFNULL(a, 0), GREATEST(1, 2), LEAST(a, b), RAND(), RAND(3), ROUND(a, -1), FLOOR(-1.5), MOD(a, 3), a MOD 3, a DIV 2 FROM t
SELECT UUID(), BENCHMARK(1, 1), SLEEP(0), INET_ATON('10.0.0.1'), PASSWORD('secret'), OLD_PASSWORD('secret'), ENCRYPT('a'), AES_ENCRYPT('a', 'key')
SELECT BIT_COUNT(5), 5 & 3 | 2 ^ 1, ~5, 1 << 2 >> 1, 7 % 3, 1 = 1 = 1, 1 <=> NULL, 'a' || 'b', 1 && 0, NOT 1, !1, 1 XOR 0
SELECT COLUMN_CREATE('a', 1), COLUMN_GET(x, 'a' AS INTEGER), COLUMN_ADD(x, 'b', 2), COLUMN_EXISTS(x, 'c') FROM t
SELECT COLUMN_JSON(x), WEIGHT_STRING(a), WEIGHT_STRING(a AS CHAR(3)), ST_AsText(POINT(1, 2)), ST_GeomFromText('POINT(1 1)'), ST_Contains(a, b) FROM t
SELECT a FROM t WHERE MATCH (a) AGAINST ('foo') > 0.5 AND b BETWEEN '2024-01-01' AND '2024-12-31' AND c NOT BETWEEN 1 AND -1 AND NOT (d = 1) AND e NOT IN (1, 2)
SELECT CONCAT('C:\\dir\\', name), 'x\ny', '\0\b\t\Z\%\_', "tab\t" FROM t
SELECT 'a'AS b,'c'd,1AS e,`f`AS g FROM t
SELECT(1),(a)FROM(t)WHERE(a=1)
select	a ,	b	from	t
SELECT a FROM t WHERE id = 1;
SELECT a FROM t WHERE id = 1 ;  
