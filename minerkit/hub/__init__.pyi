from .access import check_access as check_access
from .access import check_repo_name as check_repo_name
from .upload import upload_run as upload_run
