<?php
final class Repository
{
    public const TYPE = 'flux_configuration';
    private const PUBLIC_ID = '_flux_public_id';
}
