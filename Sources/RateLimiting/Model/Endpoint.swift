import Bytes

/// What a request is for: a path in the two forms that a rule may mean. `EndpointPaths` makes it of a path.
struct Endpoint {
    /// Without query, decoded, without dot segments; case and a slash at the end are as they were sent. What a rule means
    /// whose match says `exact`.
    let written: ByteView
    /// The same in small letters and without a slash at the end, as most frameworks see a path: what every other rule means.
    let folded: ByteView

    /// None, which only rules without an endpoint are for.
    static var none: Endpoint { Endpoint(name: .empty) }

    init(written: ByteView, folded: ByteView) {
        self.written = written
        self.folded = folded
    }

    /// A name of the caller's own, which is no path: it is what it is.
    init(name: ByteView) { self.init(written: name, folded: name) }

    /// The same in memory of its own.
    func kept(in arena: ByteArena) -> Endpoint {
        Endpoint(written: arena.copy(written), folded: arena.copy(folded))
    }
}
