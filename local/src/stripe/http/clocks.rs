//! Test clocks.

use serde_json::{Value, json as object};

use super::form::Params;
use crate::stripe::json;
use crate::stripe::refusal::Refusal;
use crate::stripe::world::World;

pub(super) fn create(world: &mut World, mut params: Params) -> Result<Value, Refusal> {
    let (frozen_time, name) = (time(&mut params)?, params.text("name")?);
    params.done()?;
    let clock = world.create_test_clock(frozen_time, name)?;
    Ok(json::test_clock(&world.account, &clock))
}

pub(super) fn retrieve(world: &World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    Ok(json::test_clock(&world.account, world.test_clock(id)?))
}

pub(super) fn advance(world: &mut World, id: &str, mut params: Params) -> Result<Value, Refusal> {
    let to = time(&mut params)?;
    params.done()?;
    let clock = world.advance_test_clock(id, to)?;
    Ok(json::test_clock(&world.account, &clock))
}

pub(super) fn delete(world: &mut World, id: &str, params: Params) -> Result<Value, Refusal> {
    params.done()?;
    world.delete_test_clock(id)?;
    Ok(object!({ "id": id, "object": "test_helpers.test_clock", "deleted": true }))
}

fn time(params: &mut Params) -> Result<i64, Refusal> {
    let time = params.integer("frozen_time")?;
    time.ok_or_else(|| Refusal::absent("frozen_time"))
}
