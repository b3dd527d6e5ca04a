/// What a caller may do, and nothing else.
public enum Role: String, Sendable, CaseIterable {
    /// Ask for decisions, and keep or release the leases that they gave.
    case check
    /// Ask for decisions, and give back what they took.
    case refund
    /// Read everything, and ask for decisions.
    case read
    /// The worker calls, and what `read` may.
    case work
    /// Reserve stock, confirm, extend and cancel, and what `read` may.
    case sell
    /// Change stock (adjust, import, count, write off, transfer), acknowledge its alerts, and what `read` may.
    case stock
    /// Everything.
    case admin

    public func includes(_ needed: Role) -> Bool {
        if self == needed { return true }
        return switch self {
        case .check: false
        case .refund, .read: needed == .check
        case .work, .sell, .stock: needed == .check || needed == .read
        case .admin: true
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
