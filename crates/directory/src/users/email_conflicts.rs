//! Accounts that an earlier release took for owners of different mailboxes, because their addresses are spelled differently.
//!
//! Earlier releases compared addresses in lower case only. Suppose `"fay"@example.org` signed up in March and
//! `fay@example.org` in May. Both have the canonical form `fay@example.org`. The migration keeps both accounts and marks the one
//! of May: what goes to the address (emails, invitations, password resets) goes to the account of March, until the address of
//! the other changes. Accounts that were given the same address on purpose are spelled alike, and still share it.

use doorward_domain::{Clock, Email, Gid, SystemClock, Timestamp, UserStatus};
use doorward_storage::{AnyConnection, Step};

use crate::{
    Directory, Error,
    feed::{self, NewChange},
    members::placeholders,
    store::email::{self, AddressHolder},
};

pub(crate) const STEP: Step = Step {
    migration: "0009_canonical_emails",
    run: |connection| migrate(connection, &SystemClock),
};

/// Users read at once.
const PAGE: i64 = 1000;

/// An account that does not get what goes to its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailConflict {
    /// Canonical form of the address.
    pub address: String,
    pub user: Gid,
    /// The account that gets it; `None` after that account gave the address up, which ends the conflict.
    pub holder: Option<Gid>,
}

impl Directory {
    /// Returns a page in the order of users, after the last user of the previous page.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list_email_conflicts(
        &self,
        after: Option<Gid>,
    ) -> Result<Vec<EmailConflict>, Error> {
        self.database
            .read_snapshot(move |connection| {
                let mut conflicts = Vec::new();
                for (user, address) in email::list_conflicting(connection, after, PAGE)? {
                    let holder = email::find_oldest_holder(connection, &address)?;
                    conflicts.push(EmailConflict {
                        address,
                        user,
                        holder,
                    });
                }
                Ok(conflicts)
            })
            .await
    }
}

/// Gives every address its canonical form, and marks the accounts that then conflict with older ones.
fn migrate(
    connection: &mut AnyConnection,
    clock: &dyn Clock,
) -> Result<(), doorward_storage::Error> {
    feed::lock(connection)?;
    let mut after = None;
    loop {
        let page = email::list(connection, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.user);
        for stored in &page {
            // An address that is no longer accepted stays as it is, and its account can change it.
            let Ok(email) = Email::parse(&stored.email) else {
                continue;
            };
            if email.canonical() != stored.canonical {
                email::set_canonical_with_conflict(connection, stored.user, &email.canonical())?;
            }
        }
    }
    let mut after = None;
    loop {
        let page = email::list_conflicting(connection, after, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        for (_, address) in &page {
            let changes = resolve_conflicts(connection, address, clock.now())
                .map_err(|error| doorward_storage::Error::Migration(error.to_string()))?;
            feed::append(connection, changes, clock)?;
        }
    }
}

/// Decides which of the accounts with an address conflict, and leaves at most one placeholder account. Repeating it changes
/// nothing.
fn resolve_conflicts(
    connection: &mut AnyConnection,
    address: &str,
    now: Timestamp,
) -> Result<Vec<NewChange>, Error> {
    let (accounts, placeholders): (Vec<AddressHolder>, Vec<AddressHolder>) =
        email::list_holders(connection, address)?
            .into_iter()
            .partition(|holder| holder.is_account);
    let oldest = accounts.first().map(|account| account.email.to_lowercase());
    let conflicts = |holder: &AddressHolder| {
        holder.is_account && oldest.as_ref() != Some(&holder.email.to_lowercase())
    };
    for holder in accounts.iter().chain(&placeholders) {
        if conflicts(holder) != holder.has_conflict {
            email::set_conflict(connection, holder.user, conflicts(holder))?;
        }
    }
    let mut changes = Vec::new();
    let active = accounts
        .iter()
        .find(|account| account.status == UserStatus::Active && !conflicts(account));
    let (into, rest) = match (active, placeholders.split_first()) {
        (Some(account), _) => (account.user, placeholders.as_slice()),
        (None, Some((first, rest))) => (first.user, rest),
        (None, None) => return Ok(changes),
    };
    for placeholder in rest {
        changes.extend(placeholders::merge_placeholder(
            connection,
            placeholder.user,
            into,
            now,
        )?);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use doorward_domain::{DisplayName, IdGenerator, RandomIdGenerator, Username};
    use doorward_storage::testing::TestDatabase;

    use super::*;
    use crate::{AccountQuery, MIGRATIONS, NewUser, model::User, store};

    fn user(username: &str, written: &str) -> User {
        let name = DisplayName::parse_or_empty("").unwrap();
        let user = NewUser::new(
            RandomIdGenerator.new_gid(),
            Username::parse(username).unwrap(),
            None,
            name,
        )
        .into_user();
        User {
            email: Some(written.to_owned()),
            ..user
        }
    }

    /// Inserts a user in the form in which an earlier release stored it.
    fn insert(connection: &mut AnyConnection, user: &User, at: i64) {
        store::user::insert_many(
            connection,
            std::slice::from_ref(user),
            Timestamp::from_seconds(at),
        )
        .unwrap();
        let email = user.email.as_ref().unwrap().to_lowercase();
        email::set_canonical_with_conflict(connection, user.gid, &email).unwrap();
        email::set_conflict(connection, user.gid, false).unwrap();
    }

    #[tokio::test]
    async fn oldest_account_keeps_the_address() {
        for test in TestDatabase::both(&MIGRATIONS) {
            let directory = Directory::new(
                test.database.clone(),
                Arc::new(SystemClock),
                Arc::new(RandomIdGenerator),
            );
            // The oldest has the canonical spelling, or not.
            let users = [
                (user("a2", "a@example.org"), 2),
                (user("a1", "\"a\"@example.org"), 1),
                (user("a3", "\"\\a\"@example.org"), 3),
                (user("b1", "b@example.org"), 1),
                (user("b2", "\"b\"@example.org"), 2),
                (user("b3", "B@example.org"), 3),
                (user("c1", "\"c\"@example.org"), 1),
                (user("c2", "\"C\"@Example.org"), 2),
                (user("d", "an address no more"), 1),
            ];
            let inserted = users.clone();
            let run = move |connection: &mut AnyConnection| {
                for (user, at) in &inserted {
                    insert(connection, user, *at);
                }
                // The second time there is nothing left to do.
                migrate(connection, &SystemClock)?;
                migrate(connection, &SystemClock)
            };
            test.database.write(run).await.unwrap();

            let gid = |name: &str| {
                users
                    .iter()
                    .find(|(user, _)| user.username.as_deref() == Some(name))
                    .unwrap()
                    .0
                    .gid
            };
            let mut conflicts = directory.list_email_conflicts(None).await.unwrap();
            conflicts
                .sort_by_key(|conflict| (conflict.address.clone(), conflict.user != gid("a2")));
            let pairs: Vec<_> = conflicts
                .iter()
                .map(|conflict| (conflict.user, conflict.holder.unwrap()))
                .collect();
            assert_eq!(
                pairs,
                [
                    (gid("a2"), gid("a1")),
                    (gid("a3"), gid("a1")),
                    (gid("b2"), gid("b1"))
                ]
            );
            for (address, names) in [
                ("a", &["a1"] as &[_]),
                ("b", &["b1", "b3"]),
                ("\"\\C\"", &["c1", "c2"]),
            ] {
                let by = AccountQuery::Email(format!("{address}@example.org"));
                let found = directory
                    .find_accounts(by, &[UserStatus::Active])
                    .await
                    .unwrap();
                let found: Vec<_> = found
                    .iter()
                    .map(|user| user.username.as_deref().unwrap())
                    .collect();
                assert_eq!(found, names, "{address}");
            }
        }
    }
}
