//! The blocks that templates make mails of.

/// A block of a mail, separated from others by a blank line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Paragraph(String),
    Code(String),
    List(Vec<String>),
    /// Link to the app.
    App,
    /// Link to a page of the app, with its path and query.
    Link(String),
}

/// Returns the link to the page where an invitation is accepted or declined.
pub(super) fn invitation_link(invitee_gid: &str, project_gid: &str) -> Block {
    Block::Link(format!(
        "/invite?invitee={invitee_gid}&project={project_gid}"
    ))
}

pub(super) fn paragraph(text: impl Into<String>) -> Block {
    Block::Paragraph(text.into())
}
