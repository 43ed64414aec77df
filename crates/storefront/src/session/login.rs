//! A login replaces the id and moves the guest's cart; a rotation replaces the id alone.
//!
//! The old id dies in the step that decides who has logged in, and is not simply deleted: for five minutes it says which id
//! has taken its place, and for whom. Nobody can use it, but the *same user logging in again* with it is taken on from
//! there. So when many log in from one guest's session at once, one of them wins. For the same user the others get the
//! session that he has begun; any other user is refused. And a client whose answer was lost asks again and gets his session.
//! The cart comes after that step, so it goes to the winner; a crash before it leaves the cart with the guest, and the next
//! try moves it, once.
//!
//! On one server replacing an id is one script. On a cluster the old session, the new one and the user's index are in three
//! slots, and the order of the steps is what makes it right:
//!
//! 1. **Prepare** the new session. Nobody can use it, and if nothing follows it goes by itself after a minute.
//! 2. **Register** it in the user's index. From here on 'log out everywhere' ends it, and then step 4 finds nothing. A
//!    rotation is refused if the index does not have the old id any more: it is being ended.
//! 3. **Claim** the old session. It is dead, and its Hash becomes the image of what the new one shall be.
//! 4. **Activate**: the new session becomes that image, if it is still there. Anybody can do this, any number of times.
//!
//! A crash after any of them leaves at most one session that can be used, and the index knows it. A session is prepared only
//! by the login that made up its id, so what has ended can never come back.

use redis::aio::ConnectionLike;
use serde::Serialize;

use super::scripts::{CLAIM, MOVE};
use super::{
    BeginError, LoginError, MOST_SESSIONS, REMEMBERED, RotateError, Session, Sessions, id, milliseconds,
};
use crate::cart::{Cart, Merged};
use crate::store::{Reply, StoreError};
use crate::{Layout, SessionId, UserId};

/// How often a login is begun anew when the session that was to be his has ended meanwhile.
const TRIES: usize = 5;

/// What a login has led to.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LoggedIn {
    /// The new session. Its id takes the place of the guest's in the client's cookie.
    pub session: Session,
    /// An earlier login of the same user from the same guest's session has won; this is the session it began.
    pub resumed: bool,
    /// What has become of the guest's cart.
    pub cart: Merged,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Login,
    Rotate,
}

/// What came of trying to replace an id.
enum Moved {
    To { id: SessionId, resumed: bool },
    OtherUser(UserId),
    NoSession,
    Contended,
}

/// The answer of the step that decides.
enum Claim {
    Ours { image: Vec<(String, String)>, had_user: bool },
    Theirs { id: SessionId, image: Vec<(String, String)> },
    OtherUser(UserId),
    NoSession,
    Full,
}

impl<C: ConnectionLike + Clone> Sessions<C> {
    /// Logs `user` in, who was the guest with the session `guest` and has proven who he is. What was in the session is in the
    /// new one, under a new id, and the guest's cart in the user's. A session that has ended is no obstacle: the new one is
    /// then empty, and the cart named by the old id still moves.
    ///
    /// Three round trips (replace the id, move the cart, read). On a cluster eight (the four steps, the cart's three, read),
    /// one more when the session was the user's already.
    pub async fn login(
        &self,
        cart: &Cart<C>,
        guest: &SessionId,
        user: UserId,
    ) -> Result<LoggedIn, LoginError> {
        for _ in 0..TRIES {
            let (id, resumed) = match self.replace(guest, user, Mode::Login).await? {
                Moved::To { id, resumed } => (id, resumed),
                Moved::OtherUser(other) => return Err(LoginError::OtherUser(other)),
                Moved::NoSession | Moved::Contended => continue,
            };
            let merged = cart.merge(guest, user).await?;
            match self.read(&id).await? {
                Some(session) => return Ok(LoggedIn { session, resumed, cart: merged }),
                None if resumed => {}
                None => return Err(BeginError::LoggedOut.into()),
            }
        }
        Err(LoginError::Contended)
    }

    /// Replaces the id of a user's session, as after a change of password: the old id is dead, the fields are carried over
    /// (short-lived ones are not), the highest age counts on. If the answer is lost the user has to log in again.
    ///
    /// Two round trips, on a cluster seven.
    pub async fn rotate(&self, id: &SessionId) -> Result<SessionId, RotateError> {
        let Some(Session { user: Some(user), .. }) = self.peek(id).await? else {
            return Err(RotateError::NoSession);
        };
        match self.replace(id, user, Mode::Rotate).await? {
            Moved::To { id, .. } => Ok(id),
            Moved::OtherUser(_) | Moved::NoSession | Moved::Contended => Err(RotateError::NoSession),
        }
    }

    async fn replace(&self, old: &SessionId, user: UserId, mode: Mode) -> Result<Moved, BeginError> {
        let mut gone = None;
        for _ in 0..TRIES {
            let new = id::generate()?;
            let claim = match self.keys.layout() {
                Layout::Standalone => self.claim_in_one_step(old, &new, user, mode, gone.as_ref()).await?,
                Layout::Cluster => self.claim_in_steps(old, &new, user, mode, gone.as_ref()).await?,
            };
            match claim {
                Claim::Ours { .. } => return Ok(Moved::To { id: new, resumed: false }),
                Claim::OtherUser(other) => return Ok(Moved::OtherUser(other)),
                Claim::NoSession => return Ok(Moved::NoSession),
                Claim::Full => return Err(BeginError::TooManySessions),
                Claim::Theirs { id, image } => {
                    if self.is_alive(&id, &image).await? {
                        return Ok(Moved::To { id, resumed: true });
                    }
                    // It has ended, and never comes back: the next try takes its place.
                    gone = Some(id);
                }
            }
        }
        Ok(Moved::Contended)
    }

    /// Whether the session that took the old one's place can be used; on a cluster after helping it to.
    async fn is_alive(&self, id: &SessionId, image: &[(String, String)]) -> Result<bool, StoreError> {
        let indexed = image.iter().find(|(name, _)| name == "indexed_until_ms");
        if let Some(indexed) = indexed.and_then(|(_, value)| value.parse().ok()) {
            self.activate(id, indexed, image).await?;
        }
        Ok(self.peek(id).await?.is_some())
    }

    async fn claim_in_one_step(
        &self,
        old: &SessionId,
        new: &SessionId,
        user: UserId,
        mode: Mode,
        gone: Option<&SessionId>,
    ) -> Result<Claim, StoreError> {
        let key = self.keys.session(old);
        let mut call = MOVE.key(&key);
        call.key(self.keys.session(new)).key(self.keys.user_sessions(user));
        call.arg(new.as_str()).arg(user.get()).arg(mode.word()).arg(gone.map_or("", SessionId::as_str));
        call.arg(milliseconds(REMEMBERED)).arg(old.as_str());
        call.arg(milliseconds(self.idle)).arg(milliseconds(self.highest_age)).arg(self.skew_ms());
        call.arg(MOST_SESSIONS);
        Claim::from_reply(&key, self.run(&key, &call).await?)
    }

    async fn claim_in_steps(
        &self,
        old: &SessionId,
        new: &SessionId,
        user: UserId,
        mode: Mode,
        gone: Option<&SessionId>,
    ) -> Result<Claim, BeginError> {
        let (ends, must) = match mode {
            Mode::Login => (format!("in {}", milliseconds(self.highest_age)), None),
            Mode::Rotate => match self.peek(old).await? {
                Some(session) => {
                    let ends = u64::try_from(session.ends_in.as_millis()).unwrap_or(0);
                    (format!("in {ends}"), Some(old))
                }
                None => return Ok(Claim::NoSession),
            },
        };
        self.prepare(new, user).await?;
        let Some(indexed) = self.promise(user, new, &ends, must).await? else {
            self.unlink(&[self.keys.session(new)]).await?;
            return Ok(if must.is_some() { Claim::NoSession } else { Claim::Full });
        };
        let key = self.keys.session(old);
        let mut call = CLAIM.key(&key);
        call.arg(new.as_str()).arg(user.get()).arg(mode.word()).arg(gone.map_or("", SessionId::as_str));
        call.arg(milliseconds(REMEMBERED)).arg(indexed.created).arg(indexed.ends).arg(indexed.until);
        let claim = Claim::from_reply(&key, self.run(&key, &call).await?)?;
        let index = self.keys.user_sessions(user);
        if let Claim::Ours { image, had_user } = &claim {
            if !self.activate(new, indexed.until, image).await? {
                return Err(BeginError::LoggedOut);
            }
            if *had_user {
                self.forget(&index, &[old.as_str()]).await?;
            }
        } else {
            // Not needed any more; without this it would go by itself.
            self.unlink(&[self.keys.session(new)]).await?;
            self.forget(&index, &[new.as_str()]).await?;
        }
        Ok(claim)
    }
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Rotate => "rotate",
        }
    }
}

impl Claim {
    fn from_reply(key: &str, mut reply: Reply) -> Result<Self, StoreError> {
        match reply.outcome.as_str() {
            "CLAIMED" => {
                let had_user = reply.next::<String>()? == "user";
                Ok(Self::Ours { had_user, image: image(&mut reply)? })
            }
            "MOVED" => {
                let id = reply.next::<String>()?.parse();
                let id = id.map_err(|_| StoreError::malformed(key, "moved_to"))?;
                Ok(Self::Theirs { id, image: image(&mut reply)? })
            }
            "OTHER_USER" => {
                let user = reply.next::<String>()?.parse();
                Ok(Self::OtherUser(user.map_err(|_| StoreError::malformed(key, "user"))?))
            }
            "NONE" => Ok(Self::NoSession),
            "FULL" => Ok(Self::Full),
            _ => Err(reply.into_error()),
        }
    }
}

/// What the old session has become, on a cluster. On one server it has nothing to carry.
fn image(reply: &mut Reply) -> Result<Vec<(String, String)>, StoreError> {
    Ok(reply.next::<Option<Vec<(String, String)>>>()?.unwrap_or_default())
}
