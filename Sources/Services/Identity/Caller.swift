/// What a caller may do. Each role includes the ones before it, but `work` and `sell`, which
/// stand beside each other.
public enum Role: String, Sendable, CaseIterable {
    /// Ask for decisions only.
    case check
    /// Read everything, and ask for decisions.
    case read
    /// The worker calls, and read.
    case work
    /// Reserve stock, confirm and cancel, and read.
    case sell
    case admin

    public func includes(_ needed: Role) -> Bool {
        switch self {
        case .admin: true
        case .work: needed != .admin && needed != .sell
        case .sell: needed != .admin && needed != .work
        case .read: needed == .read || needed == .check
        case .check: needed == .check
        }
    }
}

/// Who calls: a token's name and role, or anybody on loopback when no tokens are configured.
public struct Caller: Sendable, Equatable {
    public let name: String
    public let role: Role
    /// Which token it was; nil for a caller without one. Tells nothing of the token itself.
    let token: TokenDigest?

    public init(name: String, role: Role) { self.init(name: name, role: role, token: nil) }

    init(name: String, role: Role, token: TokenDigest?) {
        self.name = name
        self.role = role
        self.token = token
    }

    /// The caller of a server without tokens, which listens on loopback only.
    public static let local = Caller(name: "local", role: .admin)

    /// Whoever it is, with whatever token.
    public static func == (left: Caller, right: Caller) -> Bool { left.name == right.name && left.role == right.role }
}
