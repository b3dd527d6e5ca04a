import Bytes
import Digests
import Services

/// Who asks, in a namespace of its own: a key, a user and an address of the same text are three clients.
struct Identity {
    enum Kind: Int, Sendable, CaseIterable {
        /// An API key; its value is `sha256~` and 32 hexadecimal digits, never the key.
        case key
        case user
        /// An address as `IPAddress.clientText` writes it.
        case ip
        /// A name of the caller's own choosing.
        case id

        var label: StaticString {
            switch self {
            case .key: "key"
            case .user: "user"
            case .ip: "ip"
            case .id: "id"
            }
        }
    }

    var kind: Kind
    var value: ByteView

    /// What the form begins with in which an API key may appear in keys and rules; 32 hexadecimal digits follow.
    static let hashedKeyStart: StaticString = "sha256~"

    /// Writes that form.
    static func appendHashedKey(_ apiKey: ByteView, to buffer: ByteBuffer) {
        buffer.append(hashedKeyStart)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: SHA256.byteCount) { digest in
            SHA256.hash(apiKey, into: digest.baseAddress!)
            buffer.append(hex: ByteView(base: digest.baseAddress!, count: 16))
        }
    }
}

/// One question to the limiter. Its views hold until the question has been submitted.
struct CheckRequest {
    var identity: Identity
    /// The client's address, when it is known, whatever the identity is.
    var address: IPAddress?
    var endpoint = Endpoint.none
    var method: ByteView = .empty
    var tier: ByteView = .empty
    var cost = 1
    /// Asks what would be decided and consumes nothing.
    var isPeek = false
    /// A request to our own API, which only rules of the group `quartermaster` are for.
    var isOwnAPI = false
    /// Nobody could release a lease, so concurrency rules are not asked.
    var takesNoLeases = false

    static let largestCost = 1_000_000_000

    /// The same, with texts that live as long as `arena`.
    func kept(in arena: ByteArena) -> CheckRequest {
        var copy = self
        copy.identity.value = arena.copy(identity.value)
        copy.endpoint = endpoint.kept(in: arena)
        copy.method = arena.copy(method)
        copy.tier = arena.copy(tier)
        return copy
    }
}
