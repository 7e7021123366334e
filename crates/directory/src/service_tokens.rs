//! The named service tokens in the directory's database. It does not decide which names are taken:
//! auth's database does.

use doorward_service_tokens::{ClientName, InsertOutcome, NamedToken};

use crate::{Directory, Error};

impl Directory {
    /// Inserts a token, unless its name is taken or the maximum number is reached.
    ///
    /// # Errors
    /// Database errors.
    pub async fn insert_service_token(&self, token: NamedToken) -> Result<InsertOutcome, Error> {
        self.database
            .write(move |connection| Ok(doorward_service_tokens::insert(connection, &token)?))
            .await
    }

    /// Deletes a token, unless its name belongs to another token by now.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delete_exact_service_token(&self, token: NamedToken) -> Result<(), Error> {
        self.database
            .write(move |connection| Ok(doorward_service_tokens::withdraw(connection, &token)?))
            .await
    }

    /// Deletes the token with a name, if it exists.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delete_service_token(&self, name: ClientName) -> Result<(), Error> {
        self.database
            .write(move |connection| {
                doorward_service_tokens::delete(connection, &name)?;
                Ok(())
            })
            .await
    }

    /// Returns all tokens, ordered by name.
    ///
    /// # Errors
    /// Database errors.
    pub async fn list_service_tokens(&self) -> Result<Vec<NamedToken>, Error> {
        Ok(self.database.query(doorward_service_tokens::list).await?)
    }
}
