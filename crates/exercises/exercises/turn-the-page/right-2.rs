use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// A script walks on from the last one.
pub async fn page(
    redis: &mut MultiplexedConnection,
    cursor: Option<String>,
    size: usize,
) -> RedisResult<(Vec<String>, Option<String>)> {
    let cursor = cursor.unwrap_or("+inf ".to_owned());
    let (day, name) = cursor.split_once(' ').unwrap_or(("+inf", ""));
    let script = redis::Script::new(
        "local page, offset, size = {}, 0, tonumber(ARGV[3])
         while #page < 2 * size do
           local some = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', offset, 20)
           if #some == 0 then break end
           offset = offset + #some / 2
           for at = 1, #some, 2 do
             if some[at + 1] ~= ARGV[1] or ARGV[2] == '' or some[at] < ARGV[2] then
               if #page < 2 * size then page[#page + 1] = some[at] page[#page + 1] = some[at + 1] end
             end
           end
         end
         return page",
    );
    let page: Vec<(String, String)> =
        script.key("reviews").arg(day).arg(name).arg(size).invoke_async(redis).await?;
    let next = page.last().map(|(name, day)| format!("{day} {name}"));
    Ok((page.into_iter().map(|(name, _)| name).collect(), next))
}
