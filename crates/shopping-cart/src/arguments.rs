//! The command line: clap derive, so the doc comments are the help.

use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use lab_connection::TargetArgs;
use lab_runner::course::OutputArgs;
use lab_runner::report::{Earlier, ReportArgs, ReportFile, earlier_report, report_file};
use lab_runner::start::Cli;
use patterns::cart::Representation;

/// A shopping cart on Redis: users, products, carts that lose nothing, and live updates.
///
/// Without a command, it opens the menu. Options can come before or after the command.
#[derive(Parser, Debug)]
#[command(name = "shopping-cart", bin_name = "cargo cart", version, disable_help_flag = true)]
pub struct Arguments {
    /// How Redis stores carts
    #[arg(long, global = true, value_enum, default_value_t, value_name = "SHAPE")]
    pub cart: Shape,

    /// Seconds after its last change or view at which a cart expires
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u32).range(1..))]
    pub cart_ttl: u32,

    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// Show a lesson at once instead of one step at a time
    #[arg(long, global = true)]
    pub no_pause: bool,

    /// Write the results of a lesson to one HTML file, too: charts, method, caveats, and data
    #[arg(long, global = true, value_name = "FILE.html", value_parser = report_file())]
    pub report: Option<ReportFile>,

    /// Compare with this earlier report, and say what changed beyond noise; with --report, the charts show both
    #[arg(long, global = true, value_name = "OLD.html", value_parser = earlier_report())]
    pub compare: Option<Arc<Earlier>>,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,

    /// What to do [default: menu]
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How Redis stores carts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// A Hash: field SKU, value quantity
    #[default]
    Hash,
    /// A Sorted Set: member SKU, score quantity
    SortedSet,
}

impl From<Shape> for Representation {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Hash => Self::Hash,
            Shape::SortedSet => Self::SortedSet,
        }
    }
}

/// What to do. Values are text here, because the types in `input` explain a wrong one better than clap can.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Customers
    #[command(subcommand)]
    User(UserCommand),

    /// Products
    #[command(subcommand)]
    Sku(SkuCommand),

    /// Add units of a product to a cart
    Add {
        /// A user's number, or a guest's session such as abc123
        #[arg(value_name = "USER")]
        owner: String,
        /// A SKU, or the exact name of a product
        #[arg(value_name = "SKU")]
        product: String,
        /// 1 to 99
        #[arg(value_name = "QTY", default_value = "1", allow_negative_numbers = true)]
        quantity: String,
        /// Remove these units after this many seconds, unless they are added again
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
        expires_in: Option<u32>,
    },

    /// Remove units of a product from a cart
    Remove {
        /// A user's number, or a guest's session
        #[arg(value_name = "USER")]
        owner: String,
        /// A SKU, or the exact name of a product
        #[arg(value_name = "SKU")]
        product: String,
        /// How many [default: all]
        #[arg(value_name = "QTY", allow_negative_numbers = true)]
        quantity: Option<String>,
    },

    /// Show a cart
    View {
        /// A user's number, or a guest's session
        #[arg(value_name = "USER")]
        owner: String,
    },

    /// Empty a cart
    Clear {
        /// A user's number, or a guest's session
        #[arg(value_name = "USER")]
        owner: String,
    },

    /// Move a guest's cart into a user's cart, as at login
    Merge {
        /// The guest's session
        #[arg(value_name = "GUEST")]
        guest: String,
        /// The user's number
        // Not called `user`: clap would confuse it with the flag of the connection.
        #[arg(value_name = "USER")]
        customer: String,
    },

    /// Show the changes of a cart as they happen, until Ctrl-C
    ///
    /// Change the cart in another terminal, on the same server. Totals use the prices at which lines were added; `view` uses
    /// today's.
    Watch {
        /// A user's number, or a guest's session
        #[arg(value_name = "USER")]
        owner: String,
    },

    /// Lesson: carts as Hash, Sorted Set, and JSON string, compared
    Compare,

    /// Open the menu
    Menu,

    /// Lesson: a cart from the first click to the login, with every command shown
    Demo,
}

/// Customers.
#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Add a customer
    Add {
        /// First name
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        first_name: String,
        /// Last name
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        last_name: String,
        /// Number [default: the next free one]
        #[arg(long, value_name = "N", allow_hyphen_values = true)]
        id: Option<String>,
    },
    /// Show a customer
    Show {
        /// Number
        #[arg(value_name = "USER", allow_negative_numbers = true)]
        id: String,
    },
    /// List the customers
    List,
}

/// Products.
#[derive(Subcommand, Debug)]
pub enum SkuCommand {
    /// Add a product, or change its name and price
    Add {
        /// Its SKU: letters, digits, '.', '_' and '-'
        sku: String,
        /// Its name
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        name: String,
        /// Its price, such as 19.99
        #[arg(long, value_name = "PRICE", allow_hyphen_values = true)]
        price: String,
    },
    /// Show a product
    Show {
        /// A SKU, or the exact name of a product
        #[arg(value_name = "SKU")]
        product: String,
    },
    /// Take a product off sale; carts that have it say so
    Remove {
        /// A SKU, or the exact name of a product
        #[arg(value_name = "SKU")]
        product: String,
    },
    /// List the products
    List,
}

impl Arguments {
    /// How lessons are shown, for `demo` and `compare`.
    #[must_use]
    pub fn output(&self) -> OutputArgs {
        let report = ReportArgs { report: self.report.clone(), compare: self.compare.clone() };
        OutputArgs { list: false, json: self.json, no_pause: self.no_pause, report }
    }
}

impl Cli for Arguments {
    fn json(&self) -> bool {
        self.json
    }
}
