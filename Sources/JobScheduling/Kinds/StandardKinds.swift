extension JobKindDefinition {
    /// The kinds that come with Quartermaster.
    public static let standard = [
        JobKindDefinition(EmailKind.self),
        JobKindDefinition(HTTPKind.self),
        JobKindDefinition(SimulatedKind.self),
    ]
}
