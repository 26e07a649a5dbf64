//! Everything that `qz-gateway organisation` serves: the operators' page and its overview.

use super::{Routes, finished, portal, status};
use crate::organisation::{Page, routes as overview};
use std::convert::Infallible;
use std::sync::Arc;
use warp::Filter;
use warp::reply::Response;

/// The routes of the operators' page.
pub fn organisation_routes(page: &Arc<Page>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    finished(overview(page).or(files()).unify().or(status::health()).unify().boxed())
}

fn files() -> Routes {
    let page = warp::path::end().map(|| portal::file("organisation.html"));
    let asset = warp::path("assets")
        .and(warp::path::tail())
        .map(|tail: warp::path::Tail| portal::file(&format!("assets/{}", tail.as_str())));
    let icon = warp::path!("icon.svg").map(|| portal::file("icon.svg"));
    warp::get().or(warp::head()).unify().and(page.or(asset).unify().or(icon).unify()).boxed()
}
