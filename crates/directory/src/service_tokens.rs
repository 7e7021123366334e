//! The named tokens of clients in the directory's database. Auth's database decides which names are taken.

use doorward_service_tokens::{ClientName, InsertOutcome, NamedToken};

use crate::{Directory, Error};

impl Directory {
    /// Adds a token, unless its name is taken or there are too many.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn insert_service_token(&self, token: NamedToken) -> Result<InsertOutcome, Error> {
        self.database
            .write(move |connection| Ok(doorward_service_tokens::insert(connection, &token)?))
            .await
    }

    /// Deletes a token unless its name belongs to another one by now.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn delete_exact_service_token(&self, token: NamedToken) -> Result<(), Error> {
        self.database
            .write(move |connection| Ok(doorward_service_tokens::withdraw(connection, &token)?))
            .await
    }

    /// Deletes a token, if there is one.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn delete_service_token(&self, name: ClientName) -> Result<(), Error> {
        self.database
            .write(move |connection| {
                doorward_service_tokens::delete(connection, &name)?;
                Ok(())
            })
            .await
    }

    /// Returns all tokens by name.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn list_service_tokens(&self) -> Result<Vec<NamedToken>, Error> {
        Ok(self.database.query(doorward_service_tokens::list).await?)
    }
}
