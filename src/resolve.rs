//! The stage *resolve*: from sealed text to a delivery, or a reason why not.
