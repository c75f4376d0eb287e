select customer0_.id as id1_1_0_, orders1_.id as id1_2_1_, customer0_.email as email2_1_0_ from customer customer0_ left outer join orders orders1_ on customer0_.id=orders1_.customer_id where customer0_.id=42
insert into orders (created_at, customer_id, status, total, id) values ('2024-01-05 10:11:12.123', 17, 'NEW', 99.95, 1001)
update hibernate_sequence set next_val= 1002 where next_val=1001
select next_val as id_val from hibernate_sequence for update
delete from order_item where order_id=1001 and version=3
select e1_0.id,e1_0.department_id,d1_0.name,e1_0.name from employee e1_0 join department d1_0 on d1_0.id=e1_0.department_id where lower(e1_0.name) like '%smith%' escape '\\' order by e1_0.name limit 0,20
select count(distinct u1_0.id) from users u1_0 where exists(select 1 from user_roles r where r.user_id=u1_0.id and r.role in ('ADMIN','OPS'))
update users set email='jane@example.com', last_login=null, version=8 where id=5 and version=7
select case when count(u.id)>0 then 1 else 0 end as col_0_0_ from app_user u where u.email='bob@example.com'
SELECT `auth_user`.`id`, `auth_user`.`password`, `auth_user`.`last_login`, `auth_user`.`is_superuser`, `auth_user`.`username` FROM `auth_user` WHERE `auth_user`.`username` = 'alice' LIMIT 21
SELECT `django_session`.`session_key`, `django_session`.`session_data`, `django_session`.`expire_date` FROM `django_session` WHERE (`django_session`.`expire_date` > '2024-02-03 04:05:06.789' AND `django_session`.`session_key` = 'abcdef0123456789') LIMIT 21
INSERT INTO `django_admin_log` (`action_time`, `user_id`, `content_type_id`, `object_id`, `object_repr`, `action_flag`, `change_message`) VALUES ('2024-01-01 00:00:00', 1, 7, '15', 'Widget', 2, '[{\"changed\": {\"fields\": [\"Name\"]}}]')
UPDATE `shop_product` SET `stock` = (`shop_product`.`stock` - 1) WHERE `shop_product`.`id` = 7
SELECT COUNT(*) AS `__count` FROM `blog_post` INNER JOIN `blog_post_tags` ON (`blog_post`.`id` = `blog_post_tags`.`post_id`) WHERE `blog_post_tags`.`tag_id` IN (1, 2, 3)
SELECT (1) AS `a` FROM `polls_question` WHERE `polls_question`.`slug` = 'what-is-up' LIMIT 1
DELETE FROM `django_session` WHERE `django_session`.`session_key` IN ('a1b2c3')
SELECT `blog_post`.`id`, `blog_post`.`title` FROM `blog_post` WHERE (`blog_post`.`published` AND NOT (`blog_post`.`id` IN (SELECT U0.`post_id` FROM `blog_hidden` U0 WHERE U0.`user_id` = 9))) ORDER BY `blog_post`.`created` DESC
INSERT INTO `polls_vote` (`choice_id`, `user_id`, `at`) VALUES (1, 2, '2024-01-01'), (1, 3, '2024-01-01'), (2, 4, NULL)
SELECT `t`.`d` AS `d`, COUNT(`t`.`id`) AS `n` FROM `t` GROUP BY DATE(CONVERT_TZ(`t`.`at`, 'UTC', 'Europe/Berlin')) ORDER BY NULL
SELECT `users`.* FROM `users` WHERE `users`.`id` = 1 LIMIT 1
SELECT `posts`.* FROM `posts` INNER JOIN `users` ON `users`.`id` = `posts`.`user_id` WHERE `users`.`active` = TRUE AND `posts`.`created_at` BETWEEN '2024-01-01' AND '2024-02-01' ORDER BY `posts`.`id` ASC LIMIT 25 OFFSET 50
SELECT 1 AS one FROM `users` WHERE `users`.`email` = BINARY 'x@example.com' AND `users`.`id` != 3 LIMIT 1
INSERT INTO `posts` (`title`, `body`, `user_id`, `created_at`, `updated_at`) VALUES ('It\'s a title', 'Body with \"quotes\" and \\ backslash', 5, '2024-01-01 10:00:00', '2024-01-01 10:00:00')
UPDATE `posts` SET `posts`.`comments_count` = COALESCE(`posts`.`comments_count`, 0) + 1 WHERE `posts`.`id` = 7
SELECT `schema_migrations`.`version` FROM `schema_migrations` ORDER BY `schema_migrations`.`version` ASC
SELECT SUM(`line_items`.`price` * `line_items`.`quantity`) AS sum_price, `line_items`.`order_id` AS line_items_order_id FROM `line_items` GROUP BY `line_items`.`order_id` HAVING (SUM(price) > 100)
SELECT DISTINCT `tags`.`name` FROM `tags` LEFT OUTER JOIN `taggings` ON `taggings`.`tag_id` = `tags`.`id` AND `taggings`.`context` = 'tags' WHERE `taggings`.`taggable_type` IN ('Post', 'Page')
SELECT GET_LOCK('migration', 0)
SELECT RELEASE_LOCK('migration')
SET @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), @@SESSION.wait_timeout = 2147483
SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
select * from `users` where `email` = 'a@b.c' and `users`.`deleted_at` is null limit 1
select `id`, `name` from `roles` where `id` in (1, 2, 3, 4, 5)
insert into `sessions` (`payload`, `last_activity`, `user_id`, `ip_address`, `user_agent`, `id`) values ('YTozOnt9', 1700000000, 1, '10.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64)', 'q1w2e3')
update `jobs` set `reserved_at` = 1700000001, `attempts` = 1 where `id` = 77
select * from `jobs` where `queue` = 'default' and ((`reserved_at` is null and `available_at` <= 1700000000) or (`reserved_at` <= 1699999910)) order by `id` asc limit 1 FOR UPDATE
select count(*) as aggregate from `orders` where exists (select * from `items` where `orders`.`id` = `items`.`order_id` and `sku` = 'X-1')
insert ignore into `likes` (`user_id`, `post_id`) values (1, 2)
insert into `counters` (`k`, `n`) values ('home', 1) on duplicate key update `n` = `n` + 1
insert into `prices` (`id`, `eur`) values (1, 9.99), (2, 19.99) on duplicate key update `eur` = values(`eur`), `updated_at` = now()
select table_name as `name`, (data_length + index_length) as `size`, table_comment as `comment`, engine as `engine`, table_collation as `collation` from information_schema.tables where table_schema = 'app' and table_type in ('BASE TABLE', 'SYSTEM VERSIONED') order by table_name
select column_name as `name`, data_type as `type_name`, is_nullable as `nullable`, column_default as `default`, extra as `extra` from information_schema.columns where table_schema = 'app' and table_name = 'users' order by ordinal_position asc
SELECT option_name, option_value FROM wp_options WHERE autoload = 'yes'
SELECT option_value FROM wp_options WHERE option_name = 'theme_mods_twentytwenty' LIMIT 1
SELECT SQL_CALC_FOUND_ROWS wp_posts.ID FROM wp_posts WHERE 1=1 AND ((wp_posts.post_type = 'post' AND (wp_posts.post_status = 'publish' OR wp_posts.post_status = 'private'))) ORDER BY wp_posts.post_date DESC LIMIT 0, 10
SELECT FOUND_ROWS()
SELECT t.*, tt.*, tr.object_id FROM wp_terms AS t INNER JOIN wp_term_taxonomy AS tt ON t.term_id = tt.term_id INNER JOIN wp_term_relationships AS tr ON tr.term_taxonomy_id = tt.term_taxonomy_id WHERE tt.taxonomy IN ('category', 'post_tag', 'post_format') AND tr.object_id IN (1, 5, 9) ORDER BY t.name ASC
SELECT post_id, meta_key, meta_value FROM wp_postmeta WHERE post_id IN (1,5,9) ORDER BY meta_id ASC
INSERT INTO `wp_options` (`option_name`, `option_value`, `autoload`) VALUES ('_transient_doing_cron', '1700000000.1234567890123456789', 'yes') ON DUPLICATE KEY UPDATE `option_name` = VALUES(`option_name`), `option_value` = VALUES(`option_value`), `autoload` = VALUES(`autoload`)
UPDATE `wp_usermeta` SET `meta_value` = 'a:1:{s:64:\"abc\";a:4:{s:10:\"expiration\";i:1700000000;}}' WHERE `user_id` = 1 AND `meta_key` = 'session_tokens'
SELECT YEAR(post_date) AS `year`, MONTH(post_date) AS `month`, count(ID) as posts FROM wp_posts WHERE post_type = 'post' AND post_status = 'publish' GROUP BY YEAR(post_date), MONTH(post_date) ORDER BY post_date DESC
DELETE a, b FROM wp_options a, wp_options b WHERE a.option_name LIKE '\_transient\_%' AND a.option_name NOT LIKE '\_transient\_timeout\_%' AND b.option_name = CONCAT( '_transient_timeout_', SUBSTRING( a.option_name, 12 ) ) AND b.option_value < 1700000000
SELECT comment_approved, COUNT( * ) AS total FROM wp_comments GROUP BY comment_approved
SELECT meta_id FROM wp_postmeta WHERE meta_key = '_edit_lock' AND post_id = 7
SHOW FULL COLUMNS FROM `wp_options`
SELECT DATABASE()
SELECT @@SESSION.sql_mode
SELECT VERSION()
select @@version_comment limit 1
SELECT @@max_allowed_packet
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
set autocommit=0
SELECT "Setting", 'x' AS "y" FROM setting
SELECT `a`.`id` AS `a_id`, `a`.`B C` AS `a_B C` FROM `my-table` `a` WHERE ( `a`.`id` IN (1,2) ) AND ( `a`.`deletedAt` IS NULL ) LIMIT 10
SELECT q.* FROM (SELECT p.*, ROW_NUMBER() OVER (PARTITION BY p.author_id ORDER BY p.id DESC) AS rn FROM posts p) q WHERE q.rn <= 3
