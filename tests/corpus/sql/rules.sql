select -null, +null, !null, ~null, binary null, (null), null is null, not null is not null
select a from t where null or null and not null and a like null escape null and null in (null) and null between null and null
select case null when null then null else null end, interval(null, null), date_add(null, interval null day), null + null, null * -1, null div null, null mod null, null xor null, null || null, null && null, null << null, null | null, null & null, null ^ null, null % null, null <> null, null >= null, null <= null
select a from t group by null, a having null order by null, a limit 1
select distinct null, 1
create table t1 (a int null default null, b int default 1 null, c varchar(10) null, d enum('a','b') null, e int unsigned null, f timestamp null default null on update current_timestamp, g int unique null, i int comment 'x' null, j text collate utf8mb4_bin null, l double null, m decimal(5,2) null, n int as (a + 1) virtual)
alter table t modify a int null, add b int null after c, alter c set default null, change d e int null default 5
insert into t values (null), (null, null), (null, 1, null)
insert into t set a = null, b = default, c = null
insert into t (a) values (null) on duplicate key update a = null, b = values(b), c = if(null, null, null)
update t set a = null, b = (select null), c = -null where d is null and e is not null and f = null
call p(null, null)
set @a = null, @b := null, sql_mode = null
do null
execute s using null
create function fx() returns int return null
create procedure py() begin declare x int default null; set x = null; if null then select null; elseif null then select 1; end if; while null do select null; end while; repeat select 1; until null end repeat; case null when null then select null; end case; end
signal sqlstate '45000' set message_text = null
select null union select null union all select null
select null as x, a null_col, null y from t
select count(null), count(distinct null), group_concat(null order by null separator 'x'), coalesce(null, null), cast(null as char), convert(null, char), convert(null using utf8mb4), nullif(null, null), json_object('a', null), sum(null) over (order by null)
select * from json_table(null, '$' columns (a int path '$' null on empty null on error)) j
select a from t join u on null join v on (null)
values (null), (1)
values (null, 1), (2, null)
select (null, 1) = (1, null), row(null, 1) = row(1, null), exists(select null)
delete from t where a = null limit 5
select null, null from dual where null <=> null and (null) and a > any (select null)
select trim(null from null), trim(both null from a), substring(null from null for null), extract(year from null), position(null in null)
select if(a, null, -null), ifnull(null, -1), a -1, a - null, -1 - -1 - null
select a between -1 and -2, a not between - 1 and + 2, a regexp -1, a rlike -1, a not like -1, -1 like -1, a is true, a in (-1), a = all (select -1)
select f(-1), f(-1, -2), f(a, -1), f(-1, a), f(- a), f(-(-1)), f(-(1 + -1))
select -1 union select -1 order by -1 limit 1
insert into t values (-1, - 1, + 1), (1 - 1, 1, 1), (-a, 1, 2)
select 1,2,3, a, 4,5, 'x', b, -1, -2
select (1), (2), (1,2), (3,4), (5), (a), (1, a), (6), (7)
select ((1,2),(3,4)), ((1),(2)), (((1)))
select 1 in ((1)), (1) in (1), (1,2) in ((1,2)), a in (1,2) or b in (3)
select f(1),f(2),f(1,2),f(3,4), (1),(2) from t
select _utf8'a', _utf8'b', 'c', n'd', n'e', _latin1'f' 'g'
select 'a' 'b', 'c' 'd' , 'e'
insert into t values ('a' 'b', 1), ('c', 2)
select interval 1 day + a, a + interval -1 day, a + interval - 1 day, a + interval (-1) day, a + interval '-1' day
select * from t limit 1 offset 2
select a from t where a = 1 -- x
select a from t order by 1, 2, a, 3
select a from t group by 1, 2 with rollup
select a, -1 from t where (a, -1) in ((1, -1), (-1, 1))
create table t2 (a int default -1, b decimal(10,2) default - 1.5, c int default (-1), d int check (d > -1))
create table t3 (a int) auto_increment = 5 max_rows=10, comment 'x', row_format=dynamic
create event e1 on schedule every -1 day starts '2020-01-01' + interval -1 day do select 1
create event e2 on schedule at '2020-01-01' + interval -1 day do select -1
select a from t for update wait 5
kill -1
set @x = -1, @y = - 1, @z = 5 - 1
