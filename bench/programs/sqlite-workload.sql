-- What SQLite is measured with: insertion, an index, grouping, a join, sorting, text and a recursive query.
drop table if exists orders;
drop table if exists customers;
drop table if exists result;

create table customers (id integer primary key, name text, region text);
create table orders (id integer primary key, customer integer, cents integer, note text);

begin;
with recursive counter (n) as (select 1 union all select n + 1 from counter where n < 60)
insert into customers select n, 'customer ' || n, substr('northsoutheast west ', 1 + (n % 4) * 5, 5) from counter;
with recursive counter (n) as (select 1 union all select n + 1 from counter where n < 1500)
insert into orders select n, 1 + (n * 7919) % 60, (n * 104729) % 10007, 'note ' || hex(n * 31) from counter;
create index orders_by_customer on orders (customer, cents);
update orders set cents = cents + 1 where customer % 7 = 3;
delete from orders where id % 50 = 0;
commit;

create table result as
select
  (select sum(total) from (select region, sum(cents) as total from customers join orders on customer = customers.id
    group by region having count(*) > 10 order by total desc)) as number,
  (select count(*) from orders where note like '%A%' and length(upper(note)) > 6) as matching,
  (select max(rank) from (select row_number() over (partition by customer order by cents desc) as rank from orders)) as deepest,
  (select group_concat(name, ', ') from (select name from customers order by substr(name, -2), name limit 20)) as names;
update result set number = number + matching + deepest + length(names);
