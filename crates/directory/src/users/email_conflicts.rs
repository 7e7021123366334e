//! Accounts with the same mailbox that earlier releases treated as different ones, because they
//! compared addresses in lower case only. The migration keeps all accounts and marks all but the
//! oldest as conflicting. Password resets and invitations are for the oldest one, until a
//! conflicting account changes its address or no other account has it.
//!
//! Example: three accounts with the canonical address `fay@example.org`, as an earlier release
//! stored them.
//!
//! | account | signup | email | stored canonical form | conflict after the migration |
//! | --- | --- | --- | --- | --- |
//! | fay1 | March | `"fay"@example.org` | `"fay"@example.org` | no: the oldest account |
//! | fay2 | May | `fay@example.org` | `fay@example.org` | yes |
//! | fay3 | June | `"Fay"@example.org` | `"fay"@example.org` | no: the spelling of fay1 |
//!
//! 1. [`migrate`] corrects the canonical forms of fay1 and fay3 and marks both. These marks are
//!    preliminary: they only say which addresses need the second step.
//! 2. [`resolve_conflicts`] reads all holders of `fay@example.org`, the oldest first. An account
//!    conflicts if its email in lower case differs from that of fay1. So fay1 and fay3 lose their
//!    marks, and fay2 is marked. fay1 and fay3 shared the address on purpose, and still do.
//! 3. Placeholder accounts of the address are merged into the oldest active account without a
//!    conflict, here fay1; if there is no such account, into the oldest placeholder account.

use doorward_domain::{Clock, Email, Gid, SystemClock, Timestamp, UserStatus};
use doorward_storage::{AnyConnection, DataMigration};

use crate::{
    Directory, Error,
    feed::{self, NewChange},
    members::placeholders,
    store::email::{self, AddressHolder},
};

/// Data migration that belongs to the SQL migration which added the column of the marks.
pub(crate) const DATA_MIGRATION: DataMigration = DataMigration {
    migration: "0009_canonical_emails",
    run: |connection| migrate(connection, &SystemClock),
};

/// Maximum number of users in one page.
const PAGE: i64 = 1000;

/// An account that receives no mails and no invitations for its address, because an older account
/// has the same mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailConflict {
    /// Canonical form of the address.
    pub address: String,
    pub user: Gid,
    /// The account that receives them; `None` if that account has changed its address since, which
    /// ends the conflict.
    pub holder: Option<Gid>,
}

impl Directory {
    /// Returns a page of conflicts in the order of users, after the last user of the previous page.
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

/// Stores the canonical form of every address, and marks the accounts that conflict with older
/// ones.
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
            // An address that only earlier releases accepted stays as it is; its account can change
            // it.
            let Ok(email) = Email::parse(&stored.email) else {
                continue;
            };
            if email.canonical() != stored.canonical {
                email::set_canonical_with_conflict(connection, stored.user, &email.canonical())?;
            }
        }
    }
    // An address with several marked users is resolved several times. That is harmless, and so is
    // a user of the page whose mark has been removed meanwhile.
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

/// Decides which accounts with an address conflict, and keeps at most one placeholder account. To
/// repeat it changes nothing. `address` is a canonical form.
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
    // Placeholder accounts lose the preliminary mark, too.
    for holder in accounts.iter().chain(&placeholders) {
        if conflicts(holder) != holder.has_conflict {
            email::set_conflict(connection, holder.user, conflicts(holder))?;
        }
    }
    let mut changes = Vec::new();
    // Only an active account may take invitations over: others cannot answer them.
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
            // Each name is an account, and the number is its time of signup. The oldest account has
            // the canonical spelling in group b, but not in the groups a and c.
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
                // The second run must change nothing.
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
                let query = AccountQuery::Email(format!("{address}@example.org"));
                let found = directory
                    .find_accounts(query, &[UserStatus::Active])
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
