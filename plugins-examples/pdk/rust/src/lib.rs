//! See ../../README.md.

use extism_pdk::*;

#[plugin_fn]
pub fn echo(input: Vec<u8>) -> FnResult<Vec<u8>> {
    Ok(input)
}

#[plugin_fn]
pub fn count_vowels(input: String) -> FnResult<String> {
    let vowels = config::get("vowels")?.unwrap_or("aeiouAEIOU".to_string());
    let count = input.chars().filter(|letter| vowels.contains(*letter)).count();
    let before: Option<String> = var::get("total")?;
    let total = before.map_or(Ok(0), |text| text.parse::<usize>())? + count;
    var::set("total", total.to_string())?;
    Ok(format!(r#"{{"count":{count},"total":{total},"vowels":"{vowels}"}}"#))
}

#[plugin_fn]
pub fn many() -> FnResult<String> {
    for i in 0..1000 {
        let name = format!("name{}", i % 10);
        let value = format!("value {i}");
        var::set(&name, &value)?;
        if var::get::<String>(&name)? != Some(value.clone()) {
            return Err(WithReturnCode::new(Error::msg("another value"), 1));
        }
        if config::get("absent")?.is_some() || config::get("language")?.as_deref() != Some("de") {
            return Err(WithReturnCode::new(Error::msg("another configuration"), 2));
        }
        log!(LogLevel::Debug, "{value}");
        var::remove(&name)?;
        if var::get::<String>(&name)?.is_some() {
            return Err(WithReturnCode::new(Error::msg("still there"), 4));
        }
    }
    Ok("done".to_string())
}

#[plugin_fn]
pub fn talk(input: String) -> FnResult<()> {
    debug!("{input}");
    info!("{input}");
    warn!("{input}");
    error!("{input}");
    Ok(())
}

#[plugin_fn]
pub fn fail(input: String) -> FnResult<()> {
    Err(WithReturnCode::new(Error::msg(input), 1))
}

#[plugin_fn]
pub fn fetch(input: String) -> FnResult<String> {
    let request = HttpRequest::new(input).with_method("POST").with_header("x-test", "yes");
    let answer = http::request::<String>(&request, Some("hello".to_string()))?;
    let header = answer.header("x-answer").unwrap_or_default().to_string();
    Ok(format!("{} {header} {}", answer.status_code(), String::from_utf8(answer.body())?))
}
