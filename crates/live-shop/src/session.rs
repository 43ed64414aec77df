//! Who is there: a session in Redis, its token in a cookie, and a CSRF token in each form. [`login`](crate::login) changes it.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use patterns::cart::Owner;
use patterns::script::StoreError;
use patterns::sessions::Session;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::errors::Problem;
use crate::random::random;
use crate::state::{App, Shop};
use crate::wire::Recording;

/// Who sent a request.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The session's token. It is secret. Empty without a session, because Redis does not answer.
    token: String,
    /// The customer, once logged in.
    pub user: Option<String>,
    /// The guest, who has a cart too.
    pub guest: String,
    /// What each form must carry. A page of another site does not know it.
    pub csrf: String,
    /// Whether there is no session because Redis does not answer.
    pub is_cut_off: bool,
    /// Names the session where its token must not be seen.
    pub public_id: String,
}

impl Visitor {
    /// Whose cart it is.
    pub fn owner(&self) -> Owner<'_> {
        self.user.as_deref().map_or(Owner::Guest(&self.guest), Owner::User)
    }

    /// `user:ann`, or `guest:5f0c…`; [`owner_of`] is the way back.
    pub fn id(&self) -> String {
        self.user.as_ref().map_or_else(|| format!("guest:{}", self.guest), |user| format!("user:{user}"))
    }

    /// Whether there is a session.
    pub fn is_known(&self) -> bool {
        !self.token.is_empty()
    }

    /// Whether the session still lives. It does not live longer for being asked.
    pub async fn lives(&self, shop: &Shop) -> Result<bool, StoreError> {
        Ok(!self.is_known() || shop.sessions.peek(&self.token).await?.is_some())
    }

    fn cut_off() -> Self {
        Self { is_cut_off: true, ..Self::default() }
    }

    fn of(session: Session) -> Self {
        let Session { token, user, mut fields, .. } = session;
        let mut field = |name| fields.remove(name).unwrap_or_default();
        let (guest, csrf, public_id) = (field("guest"), field("csrf"), field("public_id"));
        Self { token, user, guest, csrf, public_id, is_cut_off: false }
    }
}

/// The owner with a [`Visitor::id`].
pub fn owner_of(id: &str) -> Option<Owner<'_>> {
    match id.split_once(':')? {
        ("user", user) => Some(Owner::User(user)),
        ("guest", guest) => Some(Owner::Guest(guest)),
        _ => None,
    }
}

/// Finds the session of the cookie, and begins one for a browser that has none. A token that this shop has not made is none.
pub async fn attach(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let token = cookie(&app, request.headers());
    let found = match &token {
        Some(token) => {
            hide(token);
            app.sessions.read(token).await
        }
        None => Ok(None),
    };
    let (visitor, is_new) = match found {
        Ok(Some(session)) => (Visitor::of(session), false),
        Ok(None) if request.method() == Method::GET => match begin(&app).await {
            Ok(visitor) => (visitor, true),
            Err(problem) => return problem.into_response(),
        },
        // Without a session, there is no form to send.
        Ok(None) => (Visitor::default(), false),
        // Pages that need no session still work.
        Err(_) => (Visitor::cut_off(), false),
    };
    request.extensions_mut().insert(visitor.clone());
    let mut response = next.run(request).await;
    if is_new {
        set_cookie(&app, &mut response, &visitor.token);
    }
    response.extensions_mut().insert(visitor);
    response
}

/// The visitor is this customer from now on. Returns the new token; the old one is dead.
pub(crate) async fn log_in(shop: &Shop, visitor: &Visitor, name: &str) -> Result<String, Problem> {
    let token = shop.sessions.login(&visitor.token, name).await?.session.token;
    hide(&token);
    // A form that was made before the login is refused after it. The guest is the same, even if the old session ended meanwhile.
    let (csrf, public_id, guest) = (random()?, random()?, &visitor.guest);
    shop.sessions.set(&token, &[("csrf", &csrf), ("public_id", &public_id), ("guest", guest)]).await?;
    Ok(token)
}

/// The session ends.
pub(crate) async fn log_out(shop: &Shop, visitor: &Visitor) -> Result<(), Problem> {
    shop.sessions.end(&visitor.token).await?;
    Ok(())
}

/// A response that gives the browser another token; an empty one takes the cookie away.
pub(crate) fn with_cookie(shop: &Shop, response: impl IntoResponse, token: &str) -> Response {
    let mut response = response.into_response();
    set_cookie(shop, &mut response, token);
    response
}

/// A form with only a CSRF token.
#[derive(Deserialize)]
pub struct Nothing {}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// A visitor with a session.
pub struct Known(pub Visitor);

impl FromRequestParts<App> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Visitor::from_request_parts(parts, app).await? {
            visitor if visitor.is_known() => Ok(Self(visitor)),
            visitor if visitor.is_cut_off => Err(Problem::no_redis()),
            _ => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "There is no session. Open a page of the shop first.",
            )),
        }
    }
}

/// A form that carries the session's CSRF token. Any other form is refused, so no handler can forget to check.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let visitor = request.extensions().get::<Visitor>().cloned().unwrap_or_default();
        let body = Bytes::from_request(request, app)
            .await
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        let token = serde_urlencoded::from_bytes::<CsrfToken>(&body).unwrap_or_default();
        if visitor.is_cut_off {
            return Err(Problem::no_redis());
        }
        if !visitor.is_known() || !same(&token.csrf, &visitor.csrf) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "The form is not from this shop, or it is too old.",
            ));
        }
        fields(&body).map(Self)
    }
}

/// The fields of a form that nobody has checked.
pub(crate) fn fields<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_urlencoded::from_bytes(body)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

#[derive(Default, Deserialize)]
struct CsrfToken {
    csrf: String,
}

/// Whether two secrets are equal, in a time that does not tell where they differ. No text is equal to an empty one.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && !other.is_empty() && differences == 0
}

async fn begin(shop: &Shop) -> Result<Visitor, Problem> {
    let (guest, csrf, public_id) = (random()?, random()?, random()?);
    let fields = [("guest", guest.as_str()), ("csrf", &csrf), ("public_id", &public_id)];
    match shop.sessions.begin(None, &fields).await {
        Ok(token) => {
            hide(&token);
            Ok(Visitor { token, user: None, guest, csrf, public_id, is_cut_off: false })
        }
        // The page then says what works without Redis.
        Err(patterns::sessions::SessionError::Store(_)) => Ok(Visitor::cut_off()),
        Err(error) => Err(error.into()),
    }
}

/// The wire never shows a token: nobody who reads the page may get the cookie.
fn hide(token: &str) {
    if let (Some(recording), Some(secret)) = (Recording::current(), token.split('.').next()) {
        recording.hide(secret);
    }
}

/// Cookies do not know ports, so the name does: two shops on one machine each have their own.
fn cookie_name(shop: &Shop) -> String {
    format!("shop-{}", shop.address.port())
}

fn cookie(shop: &Shop, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(shop);
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    unescaped(value)
}

/// A token may have any text in it: the customer's name is a part of it.
fn set_cookie(shop: &Shop, response: &mut Response, token: &str) {
    let mut cookie = format!("{}=", cookie_name(shop));
    for byte in token.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            cookie.push(char::from(byte));
        } else {
            let _ = write!(cookie, "%{byte:02X}");
        }
    }
    cookie.push_str("; Path=/; HttpOnly; SameSite=Lax");
    if token.is_empty() {
        cookie.push_str("; Max-Age=0");
    }
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn unescaped(value: &str) -> Option<String> {
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}
