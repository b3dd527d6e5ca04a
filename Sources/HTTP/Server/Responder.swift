/// What answers the requests of a server.
public protocol Responder: AnyObject {
    /// How many bytes of body the request may have, asked when its head is complete and it has a body; nil for the
    /// server's limit. Views into the exchange hold during the call only.
    func bodyLimit(_ exchange: Exchange) -> Int?

    /// Judges a request by its head, while its body is still to come. False: it has been answered, at once and with a
    /// refusal; its body will not be read, and the connection ends.
    func admits(_ exchange: Exchange) -> Bool

    /// Answers the request, whose body is complete: at once or later, but exactly once.
    func respond(to exchange: Exchange)
}
